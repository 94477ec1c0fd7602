// A formula that is typed: the program that serves this page answers with a page of it, or with what was wrong.

const answered = (text, wrong) => {
  Object.assign($("answer"), { textContent: text, hidden: !text, className: wrong ? "beyond" : "" });
  $("make").disabled = !wrong && Boolean(text);
};

$("typed-energy").value = SERVED.energy;
$("typed-methods").value = SERVED.methods;
$("typed").addEventListener("submit", async (event) => {
  event.preventDefault();
  answered("is being translated …", false);
  try {
    const typed = JSON.stringify({ energy: $("typed-energy").value, methods: $("typed-methods").value });
    const answer = await (await fetch(window.location.pathname, { method: "POST", body: typed })).json();
    if (answer.page) window.location.assign(answer.page); else answered(answer.wrong, true);
  } catch { answered("the program that serves this page has ended: start it again, gradientflow lab", true); }
});
// A page to which one comes back is as it was left, but for what it waited for.
window.addEventListener("pageshow", () => answered("", false));
