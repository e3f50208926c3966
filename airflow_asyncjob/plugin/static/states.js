// How the states of a job look: the colours of Airflow's own states, so that red is red everywhere.
import { UI, h } from "./host.js";

const PALETTES = {
  submitting: "queued",
  submitted: "success",
  running: "deferred",
  done: "success",
  no_data: "skipped",
  partial: "up_for_retry",
  failed: "failed",
  timed_out: "upstream_failed",
  cancelled: "removed",
  replaced: "removed",
  error: "failed",
  unknown: "awaiting_input",
  downloading: "running",
  downloaded: "success",
};

export const OPEN = new Set(["submitting", "running", "downloading"]);
export const paletteOf = (state) => PALETTES[state] ?? "none";
export const colourOf = (state) => `var(--chakra-colors-${paletteOf(state)}-solid)`;
export const wordOf = (state) => (state ?? "unknown").replaceAll("_", " ");

export function StateBadge({ state, children, ...rest }) {
  return h(
    UI.Badge,
    { colorPalette: paletteOf(state), variant: "solid", borderRadius: "full", px: 2.5, whiteSpace: "nowrap", ...rest },
    children || wordOf(state),
  );
}
