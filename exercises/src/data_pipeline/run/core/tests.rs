//! The order of safety: first the sinks, then the checkpoint, then the acknowledgements.

use std::path::Path;

use tempfile::tempdir;

use super::*;
use crate::data_pipeline::config::{Config, WhenFull};
use crate::data_pipeline::sink::{Drain, Sink, Writer};

/// A core with one file as its sink, and the other end of that.
async fn core(dir: &Path) -> (Core, Drain) {
    core_to(&dir.join("out"), dir).await
}

async fn core_to(out: &Path, dir: &Path) -> (Core, Drain) {
    let name = out.to_str().unwrap();
    let (config, told, refused) = (Config::default(), Arc::default(), Refused::default());
    let writer = Writer::open(name, Content::Lines, None, &config, &told, &refused).await.unwrap();
    let sink = (name, Content::Lines, WhenFull::Block);
    let (sink, mut drain) = Sink::new(sink, name, writer, u64::MAX);
    drain.begin().unwrap();
    let core = Core {
        order: Order::new(),
        feeds: Feeds::default(),
        windows: Windows::new(1000, 0, 1),
        outlets: Outlets::new(vec![sink]),
        refused,
        running: JoinSet::new(),
        store: Some(Arc::new(Store::open(&dir.join("checkpoint")).unwrap())),
        committing: None,
        acks: Vec::new(),
        acks_of_last: Vec::new(),
        paused: watch::Sender::default(),
        changed: true,
        job: String::new(),
        warnings: Warnings::default(),
        unused: Checkpoint::default(),
        resumed: false,
        idle: None,
        waited: None,
        stats: Arc::default(),
        lose_after: None,
    };
    (core, drain)
}

/// A message, and where its acknowledgement arrives.
fn message() -> (Ack, mpsc::Receiver<u64>) {
    let (committed, acknowledged) = mpsc::channel(1);
    (Ack { sequence: 7, committed }, acknowledged)
}

async fn commit(core: &mut Core) -> Result<()> {
    core.commit();
    let done = commit_done(&mut core.committing).await;
    core.committed(done)
}

#[tokio::test]
async fn a_sink_that_has_failed_leaves_no_checkpoint() {
    let dir = tempdir().unwrap();
    let (mut core, drain) = core(dir.path()).await;
    drop(drain);
    assert!(commit(&mut core).await.is_err());
    assert!(!dir.path().join("checkpoint").exists());
}

#[tokio::test]
async fn a_full_disk_leaves_no_checkpoint() {
    let dir = tempdir().unwrap();
    let (mut core, drain) = core_to(Path::new("/dev/full"), dir.path()).await;
    core.outlets.put_other(Content::Lines, "a line\n".into(), 1, Instant::now());
    let drain = tokio::spawn(drain.run());
    assert!(commit(&mut core).await.is_err());
    assert!(!dir.path().join("checkpoint").exists());
    assert!(drain.await.unwrap().is_err_and(|err| err.contains("/dev/full")));
}

#[tokio::test]
async fn an_uncommitted_message_is_not_acknowledged() {
    for stored in [true, false] {
        let dir = tempdir().unwrap();
        let (mut core, drain) = core(dir.path()).await;
        let (ack, mut acknowledged) = message();
        if !stored {
            core.store = None;
        }
        core.acks_of_last.push(ack);
        drop(drain);
        assert!(commit(&mut core).await.is_err());
        assert_eq!(acknowledged.recv().await, None, "it comes again");
    }
}

/// The first checkpoint may yet be torn, and what a sink refuses on the way to it is written after it.
#[tokio::test]
async fn a_message_is_acknowledged_with_the_second_commit_that_has_it() {
    for stored in [true, false] {
        let dir = tempdir().unwrap();
        let (mut core, drain) = core(dir.path()).await;
        if !stored {
            core.store = None;
        }
        let drain = tokio::spawn(drain.run());
        let (ack, mut acknowledged) = message();
        core.acks.push(ack);
        commit(&mut core).await.unwrap();
        assert_eq!(dir.path().join("checkpoint").exists(), stored);
        assert!(acknowledged.try_recv().is_err());
        commit(&mut core).await.unwrap();
        assert_eq!(acknowledged.recv().await, Some(7));
        drop(core);
        drain.await.unwrap().unwrap();
    }
}

/// The lines before the checkpoint are in the file that was renamed, those behind it in the new
/// one, and the checkpoint records exactly that.
#[tokio::test]
async fn a_renamed_output_is_reopened_at_the_next_checkpoint() {
    for stored in [true, false] {
        let dir = tempdir().unwrap();
        let (mut core, drain) = core(dir.path()).await;
        if !stored {
            core.store = None;
        }
        let drain = tokio::spawn(drain.run());
        let put = |core: &mut Core, line: &'static str| {
            core.outlets.put_other(Content::Lines, line.into(), 1, Instant::now());
        };
        let (out, old) = (dir.path().join("out"), dir.path().join("out.1"));
        put(&mut core, "one\n");
        commit(&mut core).await.unwrap();
        std::fs::rename(&out, &old).unwrap();
        put(&mut core, "two\n");
        commit(&mut core).await.unwrap();
        put(&mut core, "three\n");
        commit(&mut core).await.unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "three\n");
        assert_eq!(core.outlets.lengths()[0].1, 6);
        if let Some(store) = &core.store {
            let (saved, _) = store.load().unwrap().unwrap();
            let written = saved.output(out.to_str().unwrap()).unwrap();
            assert_eq!((written.length, written.file.is_some()), (6, true));
        }
        drop(core);
        drain.await.unwrap().unwrap();
    }
}
