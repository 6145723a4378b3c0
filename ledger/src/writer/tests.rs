//! Batches with bad parts, a full queue, a disk that fails.

use super::*;

fn start_on(log: &str) -> (tempfile::TempDir, Queue) {
    let dir = tempfile::tempdir().expect("directory");
    let connection = Connection::open(dir.path().join("file")).expect("opens");
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             CREATE TABLE t (n INTEGER PRIMARY KEY)",
        )
        .expect("table");
    let log = match log.is_empty() {
        true => dir.path().join("file-wal"),
        false => PathBuf::from(log),
    };
    let options = WriterOptions {
        log,
        sync_within: Duration::from_millis(1),
        metrics: None,
    };
    (dir, start(connection, options).expect("starts"))
}

fn insert(connection: &Connection, n: u32) -> Result<(), LedgerError> {
    connection.execute("INSERT INTO t VALUES (?1)", [n])?;
    Ok(())
}

/// Holds the writer until the sender is used or dropped, so that what follows shares a batch.
fn hold(queue: &Queue) -> std_mpsc::Sender<()> {
    let (go, wait) = std_mpsc::channel();
    let (held, is_held) = std_mpsc::channel();
    drop(queue.put(Class::Read, move |_| {
        let _ = held.send(());
        let _ = wait.recv();
        Ok(())
    }));
    is_held.recv().expect("the writer runs");
    go
}

fn numbers(queue: &Queue) -> Vec<u32> {
    let all = queue.put(Class::Read, |connection| {
        let mut statement = connection.prepare("SELECT n FROM t ORDER BY n")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    all.wait().expect("reads")
}

#[test]
fn work_that_panics_fails_or_undoes_the_transaction_takes_nobody_with_it() {
    let (_dir, queue) = start_on("");
    let go = hold(&queue);
    let put = |n| queue.put(Class::Durable, move |connection| insert(connection, n));
    let first = put(1);
    let panics = queue.put(Class::Committed, |connection| -> Result<(), LedgerError> {
        insert(connection, 2)?;
        panic!("on purpose")
    });
    let second = put(3);
    let fails = put(1);
    // as SQLite does by itself when the disk is full
    let undoes = queue.put(Class::Durable, |connection| -> Result<(), LedgerError> {
        insert(connection, 4)?;
        connection.execute_batch("ROLLBACK")?;
        Err(LedgerError::Sql(rusqlite::Error::InvalidQuery))
    });
    let third = put(5);
    drop(go);
    for good in [first, second, third] {
        good.wait().expect("stored");
    }
    assert!(matches!(panics.wait(), Err(LedgerError::Panicked(text)) if text == "on purpose"));
    assert!(matches!(fails.wait(), Err(LedgerError::Sql(_))));
    assert!(matches!(undoes.wait(), Err(LedgerError::Sql(_))));
    assert_eq!(numbers(&queue), [1, 3, 5]);
}

#[test]
fn a_full_queue_refuses_at_once_and_winners_last() {
    let (_dir, queue) = start_on("");
    let go = hold(&queue);
    let put = |class, n| queue.put(class, move |connection| insert(connection, n));
    let mut accepted = Vec::new();
    let mut n = 0;
    let busy = loop {
        n += 1;
        match put(Class::Committed, n) {
            Pending(Answer::Refused(error)) => break error,
            pending => accepted.push(pending),
        }
    };
    assert!(matches!(busy, Some(LedgerError::Busy)));
    assert_eq!(accepted.len(), QUEUE - RESERVED);
    for n in 0..RESERVED {
        accepted.push(put(Class::Durable, 10_000 + n as u32));
    }
    assert!(matches!(
        put(Class::Durable, 0).wait(),
        Err(LedgerError::Busy)
    ));
    drop(go);
    for pending in accepted {
        pending.wait().expect("stored");
    }
    assert_eq!(numbers(&queue).len(), QUEUE);
}

#[test]
fn a_disk_that_does_not_confirm_is_never_trusted_again() {
    // a device that cannot be synced
    let (_dir, queue) = start_on("/dev/null");
    let put = |class, n| queue.put(class, move |connection| insert(connection, n));
    assert!(matches!(
        put(Class::Durable, 1).wait(),
        Err(LedgerError::Disk(_))
    ));
    assert!(!queue.is_sound());
    assert!(matches!(
        put(Class::Committed, 2).wait(),
        Err(LedgerError::Disk(_))
    ));
    assert_eq!(numbers(&queue), [1], "reading goes on");
}

#[test]
fn a_durable_answer_waits_for_a_sync_that_began_after_its_commit() {
    let (_dir, queue) = start_on("");
    let (reply, mut receiver) = oneshot::channel::<Result<(), LedgerError>>();
    let log = tempfile::tempfile().expect("file");
    let (to_sync, commits) = std_mpsc::channel();
    let syncer = Syncer {
        log,
        commits,
        within: Duration::from_secs(3600),
        broken: Arc::new(AtomicBool::new(false)),
        metrics: None,
    };
    // commits that nobody waits for do not start a sync; the first that is waited for does
    to_sync.send(Vec::new()).expect("open");
    let f = |_: &Connection| Ok(());
    let job = Job {
        class: Class::Durable,
        f,
        made: Some(()),
        reply,
    };
    assert!(receiver.try_recv().is_err());
    to_sync
        .send(vec![Box::new(job) as Box<dyn Work>])
        .expect("open");
    drop(to_sync);
    syncer.run();
    assert!(matches!(receiver.try_recv(), Ok(Ok(()))));
    drop(queue);
}
