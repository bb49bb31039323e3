/* Points of a flat map that is drawn anew travel to their places: from where they were, or, in a map that was not there
   before, from where the first map has them. They are drawn at their places at once; only what is seen moves. */
window.InstructorTravel = window.InstructorTravel || (() => {
  "use strict";
  const MOST = 2000; // points that travel
  const EASE = "cubic-bezier(0.65, 0, 0.35, 1)";
  const REDRAWN = { duration: 600, delay: 0, easing: EASE, fill: "backwards" };
  const OPENING = { ...REDRAWN, duration: 1200, delay: 500 };

  // The first map opens the page, unless a link or a draft has a scene of its own.
  const { type } = performance.getEntriesByType("navigation")[0] ?? {};
  let opening = type !== "reload" && !new URLSearchParams(location.search).has("s");

  /** The nodes of a map's points by item, and where on the map each is seen now. */
  function seen({ gd, box, content }) {
    const found = new Map();
    if (content.threeD || content.points.length > MOST || InstructorLinking.lessMotion()) return found;
    const origin = box.getBoundingClientRect();
    for (const trace of gd.querySelectorAll(".scatterlayer .trace")) {
      const { customdata } = trace.__data__?.[0]?.trace ?? {};
      for (const node of customdata ? trace.querySelectorAll(".point") : []) {
        const { x, y, width, height } = node.getBoundingClientRect();
        if (width) found.set(customdata[node.__data__.i], { node, at: [x + width / 2 - origin.x, y + height / 2 - origin.y] });
      }
    }
    return found;
  }

  /** Notes what a panel's points are to start from when it is drawn: `before`, or where the first panel has them. */
  function plan(panel, before, sameItems) {
    panel.travel = null;
    panel.start = sameItems ? { before, timing: REDRAWN } : null;
    if (sameItems || !opening || panel.content.kind !== "points") return;
    setTimeout(() => (opening = false)); // the other panels come with this one
    panel.start = { timing: OPENING };
  }

  /** Lets the points of a panel that was just drawn travel, if that was planned. */
  function go(panel, first) {
    const { start } = panel;
    panel.start = null;
    if (!start) return;
    const before = start.before ?? seen(first);
    const moved = [...seen(panel)].filter(([item]) => before.has(item));
    const steps = new Map(moved.map(([item, { at }]) => [item, before.get(item).at.map((from, axis) => from - at[axis])]));
    if (![...steps.values()].flat().some((step) => Math.abs(step) > 0.5)) return;
    panel.travel = { steps, timing: start.timing, moves: [], since: null };
    for (const [item, { node }] of moved) join(panel, item, node);
    for (const words of panel.gd.querySelectorAll(".textpoint, .annotation")) {
      run(panel.travel, words.animate({ opacity: [0, 0, 1], offset: [0, 0.7, 1] }, start.timing));
    }
    const calm = (start.timing === OPENING && window.requestIdleCallback) || requestAnimationFrame;
    calm(() => begin(panel.travel));
  }

  /** Moves wait at their start until the page has time for them, and end together. */
  function begin(travel) {
    if (!travel) return;
    travel.since = performance.now();
    for (const move of travel.moves) move.startTime = travel.since;
  }

  function run(travel, move) {
    if (travel.since) move.startTime = travel.since;
    else move.pause();
    travel.moves.push(move);
  }

  /** Moves a node, such as a mark that was drawn meanwhile, with the point of an item. */
  function join({ travel }, item, node) {
    const step = travel?.steps.get(item);
    if (!step) return;
    run(travel, node.animate({ translate: [`${step[0]}px ${step[1]}px`, "0px 0px"] }, travel.timing));
  }

  return { seen, plan, go, join };
})();
