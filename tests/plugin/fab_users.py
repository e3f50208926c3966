"""Users of the FAB auth manager, whose passwords are their names: ``admin``, and some for single DAGs.

    python -m tests.plugin.fab_users

``reader`` reads dag_000 and its task instances, ``editor`` changes them too, ``outsider`` reads
the DAG only, ``nobody`` nothing. To FAB a task instance is a part of a run, so a role needs both.
"""

from __future__ import annotations

READ = ("can_read",)
EDIT = ("can_read", "can_edit")
USERS: dict[str, list[tuple[tuple[str, ...], str]]] = {
    "reader": [(READ, "DAG:dag_000"), (READ, "Task Instances"), (READ, "DAG Runs")],
    "editor": [(EDIT, "DAG:dag_000"), (EDIT, "Task Instances"), (EDIT, "DAG Runs"), (READ, "XComs")],
    "outsider": [(READ, "DAG:dag_000"), (READ, "DAG Runs")],
    "nobody": [(READ, "Website")],
}


def make() -> None:
    """Write users, roles and permissions into the database of the environment's Airflow."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        for name, permissions in USERS.items():
            role = manager.add_role(name)
            for actions, resource in permissions:
                for action in actions:
                    manager.add_permission_to_role(role, manager.create_permission(action, resource))
            manager.add_user(name, name, name, f"{name}@example.com", role, password=name)
        admin = manager.find_role("Admin")
        manager.add_user("admin", "admin", "admin", "admin@example.com", admin, password="admin")


if __name__ == "__main__":
    make()
