//! What the buffer is held against: a raw file, and SQLite as other gateways use it. Both keep the same events as compact
//! records, encoded as they arrive, and are synced after as many events.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use penstock_events::{Event, Fact, Value};
use rusqlite::{Connection, params};
use serde::Serialize;

use crate::Outcome;

/// An event as a record: what any store has to keep of it, without names interned and uncompressed.
#[derive(Serialize)]
struct Row<'a> {
    kind: u8,
    asset: &'a str,
    tag: &'a str,
    time_us: i64,
    observed_us: i64,
    value: Option<f64>,
    counter: Option<(i64, u64, u64)>,
}

/// Appends the record of `event`, behind its length.
fn encode(event: &Event, records: &mut Vec<u8>) {
    let (kind, tag, value, counter) = match &event.fact {
        Fact::TelemetrySampled { tag, value, .. } => (1, tag, value.as_ref().map(number), None),
        Fact::ProductionCompleted { tag, counter, .. } => {
            (2, tag, None, Some((counter.epoch.as_micros(), counter.from, counter.to)))
        }
        other => unreachable!("the plant makes no {other:?}"),
    };
    let row = Row {
        kind,
        asset: event.asset.as_str(),
        tag: tag.as_str(),
        time_us: event.time.as_micros(),
        observed_us: event.observed.as_micros(),
        value,
        counter,
    };
    let at = records.len();
    records.extend_from_slice(&[0; 2]);
    let row = postcard::to_allocvec(&row).expect("plain data");
    records.extend_from_slice(&row);
    let length = u16::try_from(row.len()).expect("a short record");
    records[at..at + 2].copy_from_slice(&length.to_le_bytes());
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        other => unreachable!("the plant makes no {other:?}"),
    }
}

/// One file: records, then `fdatasync`.
pub(crate) struct RawFile {
    file: File,
    records: Vec<u8>,
}

impl RawFile {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create(path)?, records: Vec::new() })
    }

    pub(crate) fn append(&mut self, group: &[Event]) -> std::io::Result<()> {
        self.records.clear();
        group.iter().for_each(|event| encode(event, &mut self.records));
        self.file.write_all(&self.records)?;
        self.file.sync_data()
    }
}

/// A table of records by sequence, in WAL mode with `synchronous=FULL`: one transaction a group.
pub(crate) struct Sqlite {
    connection: Connection,
    record: Vec<u8>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS event (sequence INTEGER PRIMARY KEY, record BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS cursor (destination TEXT PRIMARY KEY, sequence INTEGER NOT NULL);",
        )?;
        Ok(Self { connection, record: Vec::new() })
    }

    pub(crate) fn append(&mut self, group: &[Event]) -> Outcome<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO event (record) VALUES (?1)")?;
            for event in group {
                self.record.clear();
                encode(event, &mut self.record);
                insert.execute(params![self.record])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The sequence and the size of up to `limit` events after `cursor`.
    pub(crate) fn read(&self, cursor: i64, limit: u32) -> Outcome<(i64, usize)> {
        let mut select = self.connection.prepare_cached(
            "SELECT sequence, record FROM event WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        )?;
        let mut rows = select.query(params![cursor, limit])?;
        let (mut last, mut count) = (cursor, 0);
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            let record: Vec<u8> = row.get(1)?;
            assert!(!record.is_empty());
            count += 1;
        }
        Ok((last, count))
    }

    /// Moves the cursor and deletes what is behind it, in one transaction.
    pub(crate) fn acknowledge(&mut self, through: i64) -> Outcome<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT OR REPLACE INTO cursor VALUES ('enterprise', ?1)", params![through])?;
        transaction.execute("DELETE FROM event WHERE sequence <= ?1", params![through])?;
        Ok(transaction.commit()?)
    }
}
