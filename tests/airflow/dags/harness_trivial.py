"""Airflow alone, without this package: proves that the local Airflow of the tests works as they assume."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator


class DeferOperator(BaseOperator):
    """Stores a value, defers for eight seconds, and returns what it stored."""

    def execute(self, context):
        context["task_state_store"].set("word", {"said": "before the wait"})
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=8)), method_name="resume")

    def resume(self, context, event=None):
        self.log.info("resumed by the trigger")
        return context["task_state_store"].get("word")["said"]


with DAG("harness_trivial", schedule=None):
    DeferOperator(task_id="wait")
