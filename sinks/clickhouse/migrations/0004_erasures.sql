-- What was erased, by mark: rows of it that come later are left out. Nobody can be read from it.

CREATE TABLE pathline.erasures
(
    kind LowCardinality(String) COMMENT 'person, slot or identifier',
    mark String CODEC(ZSTD(1)) COMMENT 'keyed hash of the person id, slot or identifier',
    at DateTime64(3, 'UTC') COMMENT 'what is newer about an identifier is of a person that began anew',
    topic LowCardinality(String),
    partition UInt32 CODEC(ZSTD(1)),
    offset UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (kind, mark)
SETTINGS non_replicated_deduplication_window = 10000;
