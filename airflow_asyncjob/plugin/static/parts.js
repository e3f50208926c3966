// Small pieces that both views are made of.
import { React, UI, h } from "./host.js";

const { useEffect, useRef, useState } = React;

export const number = (value) => Number(value).toLocaleString("en");

export function bytes(size) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, size)) / 10));
  return power ? `${(size / 1024 ** power).toFixed(1)} ${units[power]}` : `${number(Math.round(size))} bytes`;
}

/** An address that is safe to follow; anything else, such as `javascript:`, is none. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** A part of a page with its heading. */
export function Section({ title, note, children, ...rest }) {
  return h(
    UI.Box,
    { as: "section", "aria-label": title, ...rest },
    h(
      UI.HStack,
      { mb: 2, gap: 2, flexWrap: "wrap", alignItems: "baseline" },
      h(UI.Heading, { as: "h3", size: "sm" }, title),
      note && h(UI.Text, { fontSize: "xs", color: "fg.muted" }, note),
    ),
    children,
  );
}

export function Card({ children, ...rest }) {
  return h(
    UI.Box,
    { borderWidth: 1, borderRadius: "lg", borderColor: "border.emphasized", p: 4, minW: 0, ...rest },
    children,
  );
}

/** A name and its value, one of a definition list. */
export function Fact({ name, children }) {
  return h(
    UI.Box,
    { minW: 0 },
    h(UI.Text, { as: "dt", fontSize: "xs", color: "fg.muted", mb: 0.5 }, name),
    h(UI.Box, { as: "dd", fontSize: "sm", overflowWrap: "anywhere" }, children),
  );
}

export function Facts({ children, wide = 132 }) {
  const gridTemplateColumns = `repeat(auto-fill, minmax(min(${wide}px, 100%), 1fr))`;
  return h(UI.Grid, { as: "dl", gap: 4, gridTemplateColumns }, children);
}

export function Copy({ text, label, what }) {
  const [word, setWord] = useState(null);
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    const copied = await copiedToClipboard(text);
    setWord(copied ? "Copied" : "Not copied: the browser does not allow it");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setWord(null), 2000);
  };
  return h(
    UI.Button,
    { size: "2xs", variant: "outline", onClick: copy, "aria-label": word ?? `Copy ${what}`, flexShrink: 0 },
    h("span", { "aria-live": "polite" }, word ?? label ?? "Copy"),
  );
}

async function copiedToClipboard(text) {
  if (!navigator.clipboard) return copiedBySelection(text); // absent without HTTPS
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

function copiedBySelection(text) {
  const area = document.createElement("textarea");
  const before = document.activeElement;
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}

export function Notice({ status = "error", title, children, action }) {
  return h(
    UI.AlertRoot,
    { status, role: status === "error" ? "alert" : "status", alignItems: "center" },
    h(UI.AlertIndicator),
    h(
      UI.AlertContent,
      { minW: 0 },
      title && h(UI.AlertTitle, null, title),
      children && h(UI.AlertDescription, { overflowWrap: "anywhere" }, children),
    ),
    action,
  );
}

export function Problem({ problem, again }) {
  const retry = h(UI.Button, { size: "xs", variant: "outline", onClick: again }, "Try again");
  return h(Notice, { status: "error", action: retry }, problem.message);
}

export function Empty({ title, children }) {
  return h(
    UI.EmptyStateRoot,
    { role: "status", size: "sm" },
    h(
      UI.EmptyStateContent,
      null,
      h(UI.EmptyStateTitle, null, title),
      h(UI.EmptyStateDescription, { textAlign: "center", maxW: "56ch" }, children),
    ),
  );
}

export function Loading({ lines = 4 }) {
  return h(
    UI.Stack,
    { role: "status", "aria-label": "Loading", gap: 3 },
    Array.from({ length: lines }, (_, line) => h(UI.Skeleton, { key: line, height: line ? 6 : 10 })),
  );
}

/** Text of fixed width; scrolls inside itself, also by keyboard. */
export function Pre({ children, label, ...rest }) {
  const box = { overflow: "auto", maxH: 80, bg: "bg.subtle", borderRadius: "md", p: 3, fontSize: "xs" };
  const text = { fontFamily: "mono", whiteSpace: "pre-wrap", overflowWrap: "anywhere" };
  return h(UI.Box, { as: "pre", tabIndex: 0, role: "region", "aria-label": label, ...box, ...text, ...rest }, children);
}
