"""Where rows live: ClickHouse inside this process or on a server."""
