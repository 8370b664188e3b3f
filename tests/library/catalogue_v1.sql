CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
  key INTEGER PRIMARY KEY,
  video_id TEXT NOT NULL UNIQUE,
  start_seconds REAL NOT NULL,
  duration_seconds REAL NOT NULL,
  recorded REAL NOT NULL,          -- seconds since 1970: metadata, else the file's time
  info TEXT NOT NULL,              -- VideoInfo as JSON
  added REAL NOT NULL
);
CREATE TABLE paths (
  path TEXT PRIMARY KEY,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  seen REAL NOT NULL
);
CREATE INDEX paths_video ON paths(video_key);
CREATE TABLE failures (
  path TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  type TEXT NOT NULL,
  message TEXT NOT NULL,
  failed REAL NOT NULL
);
CREATE TABLE spaces (
  space_id TEXT PRIMARY KEY,
  feature_id TEXT NOT NULL,
  model_name TEXT NOT NULL,
  model_path TEXT NOT NULL,        -- what to load: a bundled name or a folder
  appearance_dim INTEGER NOT NULL,
  dim INTEGER NOT NULL,
  motion_weight REAL NOT NULL,
  vectors_version INTEGER NOT NULL DEFAULT 0,
  used REAL NOT NULL
);
CREATE TABLE embeddings (
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  space_id TEXT NOT NULL REFERENCES spaces(space_id),
  recipe TEXT NOT NULL,
  indexed INTEGER NOT NULL DEFAULT 0,   -- whether its vectors have reached vectors/
  PRIMARY KEY (video_key, space_id)
);
CREATE INDEX embeddings_pending ON embeddings(space_id) WHERE indexed = 0;
CREATE TABLE segments (
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  space_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL,
  start_seconds REAL NOT NULL,
  end_seconds REAL NOT NULL,
  approximate INTEGER NOT NULL,
  PRIMARY KEY (video_key, space_id, ordinal)
) WITHOUT ROWID;
CREATE TABLE texts (
  id INTEGER PRIMARY KEY,
  video_key INTEGER NOT NULL REFERENCES videos(key) ON DELETE CASCADE,
  kind TEXT NOT NULL,              -- name, label, caption or tag
  text TEXT NOT NULL,
  start_seconds REAL,              -- NULL: the whole video
  end_seconds REAL,
  source TEXT NOT NULL             -- the path that a name belongs to, or who said it
);
CREATE INDEX texts_video ON texts(video_key);
CREATE INDEX texts_label ON texts(text) WHERE kind = 'label';
CREATE VIRTUAL TABLE words
  USING fts5(text, content='texts', content_rowid='id', tokenize='trigram');
CREATE TRIGGER texts_insert AFTER INSERT ON texts BEGIN
  INSERT INTO words(rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER texts_delete AFTER DELETE ON texts BEGIN
  INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text);
END;
INSERT INTO meta VALUES ('format_version', '1');
