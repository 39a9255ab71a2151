"""Visits the hosts of a crawl, one after the other, and prints when it did (test_processes.py)."""

import sys
import time
from datetime import timedelta

from forbear.storage.database import open_database, writing
from forbear.storage.db.records import EntryState, EntryUpdate, now
from forbear.storage.frontier import frontier, leases
from forbear.storage.frontier.process_id import this_process

PAUSE = 0.05


def main() -> None:
    """Placement on until the crawl is finished."""
    engine = open_database(sys.argv[1])
    crawl, owner = sys.argv[2], this_process()
    print("ready")
    sys.stdin.readline()
    while True:
        with writing(engine) as connection:
            if frontier.status(connection, crawl).finished:
                break
            held = leases.lease_hosts(connection, crawl, owner, 2, now(), 30)
        for lease in held:
            began = time.monotonic()
            with writing(engine) as connection:
                entries = frontier.take(connection, crawl, lease.host, 1, now())
                frontier.set_states(connection, [(EntryUpdate(entry.id, EntryState.GONE), None) for entry in entries])
            ended = time.monotonic()
            with writing(engine) as connection:
                leases.release(connection, owner, lease.host, now() + timedelta(seconds=PAUSE), now())
            for entry in entries:
                print(lease.host, entry.url, began, ended)
        time.sleep(0 if held else 0.01)
    engine.dispose()


if __name__ == "__main__":
    main()
