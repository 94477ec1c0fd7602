"""Proofs: candidates put into the code that runs, each beside a false one."""

from .claims import Claim as Claim
from .claims import Verification as Verification
from .survey import VerificationSurvey as VerificationSurvey
from .verify import verify as verify
