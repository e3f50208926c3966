// The entry: Airflow imports this file once for each view (`?view=`), and takes the component it leaves behind.
import { JobsPage } from "./jobs.js";
import { TaskTab } from "./task.js";

const view = new URL(import.meta.url).searchParams.get("view");
globalThis.AirflowPlugin = view === "task" ? TaskTab : JobsPage;
