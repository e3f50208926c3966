// Times: relative for people, absolute in the time zone that the user has chosen in Airflow.
import { React, UI, h } from "./host.js";
import { now } from "./net.js";

const { useEffect, useState } = React;
const TIMEZONE = "timezone"; // where Airflow's own page keeps it

function chosenTimezone() {
  try {
    const kept = JSON.parse(localStorage.getItem(TIMEZONE));
    if (kept) return new Intl.DateTimeFormat("en", { timeZone: kept }).resolvedOptions().timeZone;
  } catch {
    // An unknown name: the browser's own zone, as Airflow does when none is chosen.
  }
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function useTimezone() {
  const [zone, setZone] = useState(chosenTimezone);
  useEffect(() => {
    const look = () => setZone(chosenTimezone());
    window.addEventListener("local-storage", look);
    window.addEventListener("storage", look);
    return () => {
      window.removeEventListener("local-storage", look);
      window.removeEventListener("storage", look);
    };
  }, []);
  return zone;
}

/** The time, in seconds; the component is drawn again each second while it is visible. */
export function useNow() {
  const [time, setTime] = useState(now);
  useEffect(() => {
    const tick = setInterval(() => document.hidden || setTime(now()), 1000);
    return () => clearInterval(tick);
  }, []);
  return time;
}

export const seconds = (iso) => (iso ? Date.parse(iso) / 1000 : null);

/** A duration in the two largest units: 2 h 5 min. */
export function span(total) {
  const rest = Math.max(0, total);
  if (rest < 1) return "0 s";
  if (rest < 60) return `${Math.floor(rest)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => rest >= size);
  const [[big, bigger], [small, smaller]] = units.slice(first, first + 2);
  const left = Math.floor((rest % bigger) / smaller);
  return `${Math.floor(rest / bigger)} ${big}${left ? ` ${left} ${small}` : ""}`;
}

export function relative(time, at) {
  const difference = time - at;
  if (Math.abs(difference) < 1) return "now";
  return difference > 0 ? `in ${span(difference)}` : `${span(-difference)} ago`;
}

export function absolute(time, zone) {
  const parts = { dateStyle: "short", timeStyle: "medium", timeZone: zone };
  return new Intl.DateTimeFormat("sv-SE", parts).format(new Date(time * 1000));
}

/** A moment: how far away, and when; `both`: the absolute time below, else on hovering. */
export function When({ at, both = false }) {
  const zone = useTimezone();
  const current = useNow();
  const time = seconds(at);
  if (time === null) return h(UI.Text, { as: "span", color: "fg.muted" }, "–");
  const exact = absolute(time, zone);
  return h(
    "time",
    { dateTime: at, title: `${exact} ${zone}` },
    relative(time, current),
    both && h(UI.Text, { as: "span", display: "block", color: "fg.muted", fontSize: "xs" }, exact),
  );
}

export function useClock() {
  const zone = useTimezone();
  return (time) => absolute(time, zone);
}
