"""The project the whole line runs in a campaign: every way in which time, joins and sends can go wrong, in small."""

from __future__ import annotations

from pathlib import Path

from schemas.definitions import parse
from schemas.definitions.model import Project

#: orders that make a regular
REGULAR = 3
#: a visitor is fresh for so long after a view; milliseconds
FRESH_MS = 3_000
#: a reminder and a trial wait for so long; milliseconds
REMINDER_MS, TRIAL_MS = 3_000, 4_000

VIEWED, ORDERED, ADDED, TRIED = "Product Viewed", "Order Completed", "Product Added", "Trial Started"

#: journeys whose sends depend on the order of one person's own events only, so that an undisturbed run has the same
DETERMINED = ("thanks", "receipt")
#: journeys that wait, with how long; milliseconds
WAITING = {"reminder": REMINDER_MS, "trial": TRIAL_MS}
#: the segment that counts every event under its own name (nobody reaches it), so that its state says where each is
COUNTED = "counted"

FILES = {
    "project.yaml": "name: campaign\n",
    "identity.yaml": """
identifiers:
  user_id:      {limit: 1}
  email:        {limit: 5, normalize: email}
  device_id:    {limit: 100, shared: newest}
  anonymous_id: {limit: 100}
blocked: ["", "null"]
hub: 50
""",
    "channels.yaml": "email: {cost: 0.0004, connector: smtp, consent: opt_in}\nweb: {kind: session}\n",
    "segments/regulars.yaml": f"name: regulars\nwhen: {{did: {ORDERED}, count: {{at_least: {REGULAR}}}}}\n",
    "segments/viewers.yaml": f"name: viewers\nwhen: {{did: {VIEWED}, count: {{at_least: 2}}}}\n",
    "segments/fresh.yaml": f"name: fresh\nwhen: {{did: {VIEWED}, within: {FRESH_MS // 1000}s}}\n",
    f"segments/{COUNTED}.yaml": (
        f"name: {COUNTED}\nwhen: {{did: [{VIEWED}, {ORDERED}, {ADDED}, {TRIED}, Identify, Email Sent, Email Bounced],"
        " count: {at_least: 1000000}}\n"
    ),
    "journeys/thanks.yaml": (
        "name: thanks\nenter: {segment: regulars}\nsteps:\n  - send: {template: thanks, channels: [email]}\n"
    ),
    "journeys/receipt.yaml": f"""
name: receipt
enter: {{event: {ORDERED}, where: event.properties.receipt == true, key: properties.order_id}}
category: transactional
steps:
  - send: {{template: receipt, channels: [email]}}
""",
    "journeys/reminder.yaml": f"""
name: reminder
enter: {{event: {ADDED}, key: properties.cart_id}}
exit: [{{event: {ORDERED}}}]
steps:
  - wait: {REMINDER_MS // 1000}s
  - send: {{template: reminder, channels: [email]}}
""",
    "journeys/trial.yaml": f"""
name: trial
enter: {{event: {TRIED}, on_repeat: parallel}}
steps:
  - wait: {TRIAL_MS // 1000}s
  - update: {{traits.tried: true}}
""",
    "templates/thanks.yaml": "subject: Thanks\nbody: You are a regular now\n",
    "templates/receipt.yaml": "subject: Order {{ entry.properties.order_id }}\nbody: We have it\n",
    "templates/reminder.yaml": "subject: Your cart\nbody: Cart {{ entry.properties.cart_id }} waits for you\n",
}


def project() -> Project:
    """The project, checked."""
    return parse(FILES)


def changed(number: int) -> Project:
    """A later version of it: who waits in a journey goes over to one that waits as long, at a step of another name."""
    files = dict(FILES)
    for name in WAITING:
        path, before = f"journeys/{name}.yaml", "1" if number == 1 else f"pause{number - 1}"
        text = files[path].replace("  - wait:", f"  - id: pause{number}\n    wait:")
        files[path] = f"{text}migrate: {{steps: {{'{before}': pause{number}}}}}\n"
    return parse(files)


def write(folder: Path) -> Path:
    """Write the project's files below a folder; returns it."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), "utf-8")
    return folder
