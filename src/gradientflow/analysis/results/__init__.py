"""What every answer is: its grade, its page, its colours."""
