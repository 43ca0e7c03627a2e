"""How much: of us by a client, of a provider by all workers, and backends that refuse us."""
