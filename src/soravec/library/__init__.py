"""Vectors kept: catalogue, features, index, the indexer and its workers, and search.

Read in this order: `identity` says which video a file is; `catalogue` is the durable truth;
`features` and `lance` hold features and vectors, `vectors` keeps the second true to the first;
`worker` decodes, `indexer` supervises; `words`, `moments` and `search` answer; `library` is the
door.
"""
