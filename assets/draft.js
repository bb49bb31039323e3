// Nothing typed is lost. When this page is loaded anew (by its visitor, or by Gradio after the server was restarted),
// what stood in the fields is handed to the server, which shows it again, in the place, with the selection and the
// options that were chosen. While the server does not answer, a line at the top says so.
(() => {
  const { recall, store, until } = InstructorShell;
  const KEY = "instructor:draft";
  const NEXT_MS = { alive: 15_000, gone: 2000 };
  const PAUSE_MS = 1000; // without a key or a click, until the server is asked how it shows the run
  const GONE = "The server does not answer. What you typed stays in this page, and is restored when the server is " +
    "back; the page keeps trying by itself.";

  const typed = () => {
    const texts = document.querySelector("#texts textarea")?.value;
    const instructions = Array.from(document.querySelectorAll("[id^='instruction-'] textarea"), field => field.value);
    const checkpoint = document.querySelector("#checkpoint input")?.value ?? "";
    return texts === undefined ? null : { texts, instructions, checkpoint };
  };

  const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
  const inLesson = () => new URLSearchParams(location.search).has("lesson"); // it sets the fields itself
  if (!reloaded) store("sessionStorage", KEY, null); // of another page in this tab
  const draft = inLesson() ? null : recall("sessionStorage", KEY);
  if (draft) { // it is newer than the state in the address
    const address = new URL(location.href);
    address.searchParams.delete("s");
    history.replaceState(history.state, "", address);
  }
  let scene = draft?.scene ?? null;
  let ask = () => {}; // until `mount`
  let touched = false; // else the page comes back as it was by itself
  let waiting = 0;
  for (const kind of ["input", "change", "keyup", "pointerup"]) {
    addEventListener(kind, () => {
      touched = true;
      clearTimeout(waiting);
      waiting = setTimeout(() => ask(), PAUSE_MS);
    }, true);
  }
  addEventListener("pagehide", () => {
    const now = typed();
    if (now && touched && !inLesson()) store("sessionStorage", KEY, { ...now, scene });
  });

  // Called by the component that takes drafts, as soon as it is on the page.
  const mount = (props, watch, trigger, restore, say) => {
    watch("value", () => (scene = JSON.parse(props.value)));
    ask = () => trigger(say, {});
    if (draft) until(typed, Infinity).then(() => trigger(restore, draft)); // the fields come later
  };
  window.InstructorDraft = { mount };

  const fetched = window.fetch.bind(window);
  const banner = document.createElement("p");
  Object.assign(banner, { className: "ic-note ic-error ic-offline", role: "alert", textContent: GONE });
  const look = async () => {
    clearTimeout(timer);
    const alive = await fetched("health", { cache: "no-store" }).then((answer) => answer.ok, () => false);
    if (alive) banner.remove();
    else if (!banner.isConnected) document.querySelector(".ic-page")?.before(banner);
    if (alive) document.body.classList.remove("ic-lost");
    timer = setTimeout(look, alive ? NEXT_MS.alive : NEXT_MS.gone);
  };
  let timer = setTimeout(look, NEXT_MS.alive);
  window.fetch = async (...request) => {
    try {
      return await fetched(...request);
    } catch (error) {
      if (error.name !== "AbortError" && !banner.isConnected) {
        document.body.classList.add("ic-lost"); // the banner says it, in place of Gradio's own words
        look();
      }
      throw error;
    }
  };
})();
