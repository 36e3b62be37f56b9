"""Where an installation keeps its files and sockets."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Places(msgspec.Struct, frozen=True):
    """Paths below the data folder (kept) and the run folder (sockets; gone when the house is down).

    The run folder is apart because a unix socket's path may have at most 107 bytes.
    """

    data: Path
    run: Path

    @property
    def journal(self) -> Path:
        """Segments, offsets, dead letters."""
        return self.data / "journal"

    @property
    def chdb(self) -> Path:
        """The embedded ClickHouse."""
        return self.data / "clickhouse"

    @property
    def inserts(self) -> Path:
        """What the embedded ClickHouse is being given."""
        return self.data / "clickhouse.inserts"

    @property
    def memory(self) -> Path:
        """Ledger, index and model of the memory."""
        return self.data / "memory"

    @property
    def responses(self) -> Path:
        """Which deployment keeps which response."""
        return self.data / "responses.sqlite"

    @property
    def owned(self) -> Path:
        """Whose the files and batches are that providers keep."""
        return self.data / "owned.sqlite"

    @property
    def cache(self) -> Path:
        """Answers that are given again."""
        return self.data / "cache.sqlite"

    @property
    def forgotten(self) -> Path:
        """Digests of users who were erased."""
        return self.data / "forgotten.json"

    @property
    def prices(self) -> Path:
        """The price table that the telemetry process compiles and workers load."""
        return self.data / "prices.msgpack"

    @property
    def secrets(self) -> Path:
        """Keys this installation made for itself, readable by its owner only."""
        return self.data / "secrets"

    @property
    def control(self) -> Path:
        """Who was given which keys, unless that is on a server."""
        return self.data / "control.sqlite"

    @property
    def keys(self) -> Path:
        """The same as workers know it while there is no hub, sealed."""
        return self.data / "keys.sealed"

    @property
    def rules(self) -> Path:
        """The rules that workers follow, as the hub last told them: one file of each kind."""
        return self.data / "rules"

    @property
    def state(self) -> Path:
        """What the supervisor says of its children, for `tidegate doctor`."""
        return self.data / "supervisor.json"

    @property
    def hub(self) -> Path:
        """HTTP of the hub."""
        return self.run / "hub.sock"

    @property
    def link(self) -> Path:
        """The hub's multiplexed link."""
        return self.run / "link.sock"

    @property
    def telemetry(self) -> Path:
        """HTTP of the telemetry process."""
        return self.run / "telemetry.sock"

    @property
    def litellm(self) -> Path:
        """HTTP of litellm's process."""
        return self.run / "litellm.sock"

    def worker(self, slot: int) -> Path:
        """A worker's private door, for `/metrics`."""
        return self.run / f"worker-{slot}.sock"
