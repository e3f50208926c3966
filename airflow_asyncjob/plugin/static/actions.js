// The buttons: poll now, cancel the job.
import { React, UI, h } from "./host.js";
import { address, ask } from "./net.js";

const { useState } = React;
const PLACE = ["dag_id", "run_id", "task_id", "map_index"];
const WAITING = { deferred: true };

/** Why a button does nothing; null: it works. */
function reasons(job) {
  if (!WAITING[job.task_state]) return { poll: "Nothing waits for this job now", cancel: "Nothing waits for this job now" };
  const forbidden = "You may not change tasks of this DAG";
  const noCancel = job.can_poll ? "The definition has no cancel request" : forbidden;
  return { poll: job.can_poll ? null : forbidden, cancel: job.can_cancel ? null : noCancel };
}

/** A button that says why it is off: it can be reached by keyboard and read, but does nothing. */
function Press({ reason, onClick, children, label, ...rest }) {
  const off = reason !== null;
  return h(
    UI.Button,
    {
      size: "xs",
      variant: "outline",
      "aria-disabled": off || undefined,
      "aria-label": off ? `${label}: ${reason}` : label,
      title: off ? reason : label,
      opacity: off ? 0.45 : 1,
      cursor: off ? "not-allowed" : "pointer",
      onClick: (event) => {
        event.stopPropagation();
        if (!off) onClick();
      },
      ...rest,
    },
    children,
  );
}

const SAID = {
  woken: "The task wakes, and polls now.",
  held: "The trigger has only just begun, and polls within seconds.",
  cancelling: "The task is marked failed, and the API is asked to cancel the job.",
};

/** Both buttons of a job; `tell({status, text})` is called with what came of them. */
export function JobButtons({ job, tell, again }) {
  const [busy, setBusy] = useState(null);
  const [asking, setAsking] = useState(false);
  const why = reasons(job);
  const press = async (what) => {
    setBusy(what);
    try {
      const body = Object.fromEntries(PLACE.map((name) => [name, job[name]]));
      const { result } = await ask(address(what), { body });
      tell({ status: "success", text: SAID[result] ?? result });
    } catch (problem) {
      tell({ status: "error", text: problem.message });
    } finally {
      setBusy(null);
      again();
    }
  };
  const name = job.submission_id ?? job.task_id;
  return h(
    UI.HStack,
    { gap: 2 },
    h(Press, { reason: why.poll, loading: busy === "poll", label: `Poll ${name} now`, onClick: () => press("poll") }, "Poll now"),
    h(
      Press,
      { reason: why.cancel, loading: busy === "cancel", label: `Cancel ${name}`, colorPalette: "danger", onClick: () => setAsking(true) },
      "Cancel",
    ),
    asking && h(Confirm, { name, job, close: () => setAsking(false), confirm: () => press("cancel") }),
  );
}

function Confirm({ name, job, close, confirm }) {
  return h(
    UI.DialogRoot,
    { open: true, role: "alertdialog", onOpenChange: ({ open }) => open || close(), size: "sm" },
    h(
      UI.Portal,
      null,
      h(UI.DialogBackdrop),
      h(
        UI.DialogPositioner,
        { onClick: (event) => event.stopPropagation() },
        h(
          UI.DialogContent,
          null,
          h(UI.DialogHeader, null, h(UI.DialogTitle, null, "Cancel this job?")),
          h(
            UI.DialogBody,
            null,
            h(UI.Text, null, "The API is asked to cancel ", h(UI.Code, { overflowWrap: "anywhere" }, name), "."),
            h(UI.Text, { mt: 2 }, `The task ${job.task_id} of ${job.dag_id} is marked failed.`),
          ),
          h(
            UI.DialogFooter,
            null,
            h(UI.Button, { variant: "outline", onClick: close, autoFocus: true }, "Keep it"),
            h(UI.Button, { colorPalette: "danger", onClick: () => (close(), confirm()) }, "Cancel the job"),
          ),
        ),
      ),
    ),
  );
}
