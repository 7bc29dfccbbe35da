use super::*;
use crate::data_pipeline::source::known::begins_alike;
use crate::data_pipeline::state::file::Fingerprint;
use crate::data_pipeline::state::file::tests::{fingerprint, numbered};

const WAIT: Duration = Duration::from_secs(5);

/// Files in memory, by path; the numbers are inodes.
#[derive(Default)]
struct Disk {
    files: BTreeMap<&'static str, (u64, String)>,
    /// Other files in their directory, which no pattern matches.
    beside: BTreeMap<&'static str, (u64, String)>,
}

/// The content of the files that some path leads to.
struct Texts(HashMap<FileId, String>);

impl Others for Texts {
    fn is_intact(&mut self, id: FileId, read: &Fingerprint) -> bool {
        let found = |text: &String| read.found_in(&mut text.clone().into_bytes()).unwrap();
        self.0.get(&id).is_some_and(|text| found(text) == Found::All)
    }

    fn begins_with(&mut self, id: FileId, head: &[u8]) -> bool {
        self.0.get(&id).is_some_and(|text| begins_alike(text.as_bytes(), head))
    }
}

struct Program {
    registry: Registry,
    now: Instant,
}

fn id(inode: u64) -> FileId {
    FileId { device: 1, inode, born: None }
}

fn text(from: u32, to: u32) -> String {
    numbered(from..to)
}

impl Disk {
    fn put(&mut self, path: &'static str, inode: u64, text: String) {
        self.files.insert(path, (inode, text));
    }

    fn seen(&self) -> Vec<Seen<Vec<u8>>> {
        let seen = |(path, (inode, text)): (&&str, &(u64, String)), watched| Seen {
            path: path.into(),
            resolved: (*path).to_owned(),
            id: id(*inode),
            length: text.len() as u64,
            packed: path.contains(".gz"),
            watched,
            content: text.clone().into_bytes(),
        };
        let watched = self.files.iter().map(|file| seen(file, true));
        watched.chain(self.beside.iter().map(|file| seen(file, false))).collect()
    }

    fn texts(&self) -> Texts {
        let files = self.files.values();
        Texts(files.map(|(inode, text)| (id(*inode), text.clone())).collect())
    }
}

impl Program {
    fn new(records: impl IntoIterator<Item = FileRecord>) -> Self {
        Self { registry: Registry::new(records, Some(WAIT)), now: Instant::now() }
    }

    /// Looks, and reads everything new. Returns the path and the first byte of each file that
    /// was read.
    fn reads(&mut self, disk: &Disk) -> Vec<(String, u64)> {
        let mut seen = disk.seen();
        let there = seen.iter().map(|seen| seen.id).collect();
        let verdicts = self.registry.look(self.now, &there, &mut seen, &mut disk.texts());
        let mut reads = Vec::new();
        for (seen, verdict) in seen.iter().zip(verdicts) {
            if let Verdict::Read(record) = verdict.unwrap() {
                self.read(&record.name(), &seen.content);
                let path = seen.path.to_string_lossy().into_owned();
                reads.push((path, record.read.position));
            }
        }
        for cut in self.registry.cut_ones().map(FileRecord::name).collect::<Vec<_>>() {
            self.registry.gone(&cut, 0);
        }
        reads
    }

    fn read(&mut self, name: &str, content: &[u8]) {
        let progress = self.registry.progress(name).unwrap();
        let mut progress = progress.lock().unwrap();
        let position = progress.read().position as usize;
        progress.advance(&content[position..]);
    }

    /// What a checkpoint keeps.
    fn records(self) -> Vec<FileRecord> {
        let record = |known: Known| match known.state {
            State::Open(progress) => {
                FileRecord { read: progress.lock().unwrap().read().clone(), ..known.record }
            }
            _ => known.record,
        };
        self.registry.known.into_values().map(record).collect()
    }

    fn restart(self) -> Self {
        Self::new(self.records())
    }
}

fn read_one(length: u32) -> (Disk, Program) {
    let (mut disk, mut program) = (Disk::default(), Program::new([]));
    disk.put("app.log", 1, text(0, length));
    assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
    (disk, program)
}

fn length(from: u32, to: u32) -> u64 {
    text(from, to).len() as u64
}

#[test]
fn a_file_goes_on_under_any_name_and_a_second_path_to_it_is_nothing_new() {
    let (mut disk, program) = read_one(100);
    let mut program = program.restart();
    let (inode, _) = disk.files.remove("app.log").unwrap();
    disk.put("app.log.1", inode, text(0, 150));
    disk.put("app.log", 2, text(150, 200));
    let reads = program.reads(&disk);
    let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
    assert_eq!(reads, wanted);
    disk.put("hard-link", 2, text(150, 200));
    assert_eq!(program.reads(&disk), []);
}

#[test]
fn a_reused_inode_is_another_file_even_if_it_is_longer() {
    for new in [text(500, 501), text(500, 900), String::new()] {
        let (mut disk, program) = read_one(100);
        let mut program = program.restart();
        disk.put("app.log", 1, new);
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        assert_eq!(program.registry.open(id(1)), Some("app.log@2"));
    }
}

#[test]
fn files_with_equal_banners_stay_two_files() {
    for banner in ["# a banner\n".to_owned(), text(0, 300)] {
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("a", 1, banner.clone());
        program.reads(&disk);
        disk.put("a", 1, banner.clone() + &text(1000, 1100));
        let all = disk.files["a"].1.clone();
        program.read("a", all.as_bytes());
        let mut program = program.restart();
        disk.files.clear();
        disk.put("b", 2, banner.clone() + &text(2000, 2200));
        assert_eq!(program.reads(&disk), [("b".to_owned(), 0)]);
    }
}

/// This covers a restore, a remount, and a copy whose original is gone.
#[test]
fn a_file_with_another_identity_is_recognised_by_what_was_read() {
    let (mut disk, program) = read_one(100);
    let mut program = program.restart();
    disk.put("app.log", 7, text(0, 120));
    assert_eq!(program.reads(&disk), [("app.log".to_owned(), length(0, 100))]);
    assert_eq!(program.registry.open(id(7)), Some("app.log"), "the same as before");
}

#[test]
fn a_copy_beside_its_original_is_a_second_file_after_a_wait() {
    let (mut disk, mut program) = read_one(100);
    disk.put("copy", 2, text(0, 60));
    assert_eq!(program.reads(&disk), [], "it is being made");
    disk.put("copy", 2, text(0, 100));
    assert_eq!(program.reads(&disk), []);
    program.now += WAIT;
    assert_eq!(program.reads(&disk), [("copy".to_owned(), 0)]);
}

#[test]
fn a_copytruncate_copy_is_read_on_from_the_originals_position() {
    for stopped in [false, true] {
        let (mut disk, mut program) = read_one(100);
        disk.put("app.log.1", 2, text(0, 130)); // 30 lines more than were read
        if stopped {
            program = program.restart();
        } else {
            assert_eq!(program.reads(&disk), []);
            program.now += WAIT * 2;
            disk.put("app.log", 1, text(130, 400));
            assert_eq!(program.reads(&disk), [], "the original does not hold any more what it did");
            program.registry.cut("app.log");
        }
        disk.put("app.log", 1, text(130, 400));
        let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
        assert_eq!(program.reads(&disk), wanted, "stopped: {stopped}");
        assert_eq!(program.registry.open(id(2)), Some("app.log"));
        assert_eq!(program.registry.open(id(1)), Some("app.log@2"));
    }
}

#[test]
fn a_truncated_file_with_the_same_content_again_is_new() {
    for (stopped, copied) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut disk, mut program) = read_one(100);
        disk.put("app.log", 1, String::new());
        if copied {
            disk.put("app.log.1", 2, text(0, 120));
        }
        program.registry.cut("app.log"); // its reader has seen that it is shorter
        let copy = copied.then(|| ("app.log.1".to_owned(), length(0, 100)));
        let wanted: Vec<_> = [("app.log".to_owned(), 0)].into_iter().chain(copy).collect();
        assert_eq!(program.reads(&disk), wanted);
        if stopped {
            program = program.restart();
        } else {
            program.registry.left("app.log@2", None); // its reader has seen that it is not empty
        }
        disk.files.remove("app.log.1");
        disk.put("app.log", 1, text(0, 100));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)], "{stopped} {copied}");
        assert_eq!(program.registry.open(id(1)), Some("app.log@2"));
    }
}

/// The second content may be copied before it is read: the copy is not one of the first content.
#[test]
fn a_copy_of_the_second_content_is_none_of_an_equal_first_one() {
    for stopped in [false, true] {
        let (mut disk, mut program) = read_one(100);
        disk.put("app.log", 1, String::new());
        program.registry.cut("app.log");
        program.reads(&disk);
        if stopped {
            program = program.restart();
        } else {
            program.registry.left("app.log@2", None);
        }
        disk.put("app.log", 1, text(0, 100));
        disk.put("app.log.1", 2, text(0, 130));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        disk.put("app.log", 1, String::new());
        program.registry.cut("app.log@2");
        let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
        assert_eq!(program.reads(&disk), wanted);
        assert_eq!(program.registry.open(id(2)), Some("app.log@2"));
    }
}

/// As when it was being compressed while the truncation was found.
#[test]
fn a_copy_may_come_later_than_the_new_content() {
    for new in [String::new(), text(130, 140)] {
        let (mut disk, mut program) = read_one(100);
        disk.put("app.log", 1, new);
        program.registry.cut("app.log");
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        disk.put("app.log.1.gz", 2, text(0, 130));
        assert_eq!(program.reads(&disk), [("app.log.1.gz".to_owned(), length(0, 100))]);
    }
}

/// What was written between the copy and the truncation, and read in time, is not read twice.
#[test]
fn a_copy_that_ends_before_the_position_holds_nothing_new() {
    for stopped in [false, true] {
        let (mut disk, mut program) = read_one(100);
        let all = text(0, 110);
        program.read("app.log", all.as_bytes());
        if stopped {
            program = program.restart();
        } else {
            program.registry.cut("app.log");
        }
        disk.put("app.log.1", 2, text(0, 100));
        disk.put("app.log", 1, text(110, 112));
        let wanted = [("app.log".to_owned(), 0), ("app.log.1".to_owned(), length(0, 100))];
        assert_eq!(program.reads(&disk), wanted);
    }
}

#[test]
fn a_neighbouring_file_is_read_only_as_the_past_of_a_known_file() {
    let (mut disk, program) = read_one(100);
    let mut program = program.restart();
    disk.files.clear();
    disk.beside.insert("app.log.old", (1, text(0, 140)));
    disk.beside.insert("unknown", (8, text(500, 600)));
    assert_eq!(program.reads(&disk), [("app.log.old".to_owned(), length(0, 100))]);
}

#[test]
fn a_copy_of_a_removed_file_continues_where_that_was_left() {
    let (mut disk, mut program) = read_one(100);
    disk.put("moved", 9, text(0, 105));
    assert_eq!(program.reads(&disk), []);
    disk.files.remove("app.log");
    program.now += WAIT * 2;
    assert_eq!(program.reads(&disk), [], "what is open is still being read");
    program.registry.gone("app.log", 1);
    assert_eq!(program.reads(&disk), [("moved".to_owned(), length(0, 100))]);
    program.registry.gone("app.log", 1);
    program.registry.forget(2);
    assert_eq!(program.registry.known.len(), 0);
}

#[test]
fn a_copy_of_an_unread_file_waits_until_the_file_was_read() {
    let (mut disk, mut program) = (Disk::default(), Program::new([]));
    disk.put("app.log", 1, text(0, 50));
    let mut seen = disk.seen();
    let there = [id(1)].into();
    program.registry.look(program.now, &there, &mut seen, &mut disk.texts());
    disk.put("app.log.gz", 2, text(0, 50));
    assert_eq!(program.reads(&disk), []);
    program.read("app.log", text(0, 50).as_bytes());
    disk.files.remove("app.log");
    program.registry.gone("app.log", 1);
    assert_eq!(program.reads(&disk), [("app.log.gz".to_owned(), length(0, 50))]);
}

/// The names do not tell, and one line alone does not either: that all of it is there, compressed,
/// and the file is gone, does.
#[test]
fn a_file_of_one_line_that_was_compressed_under_another_name_is_known() {
    for stopped in [false, true] {
        for line in [text(11, 12), "no line feed".to_owned()] {
            let (mut disk, mut program) = (Disk::default(), Program::new([]));
            disk.put("app.log.1", 1, line.clone());
            disk.put("b.log.1", 2, line.clone()); // an equal one, to which the same happens
            program.reads(&disk);
            program.now += WAIT;
            program.reads(&disk);
            disk.files.clear();
            disk.put("app.log.2.gz", 3, line.clone());
            disk.put("b.log.2.gz", 4, line.clone());
            if stopped {
                program = program.restart();
            } else {
                assert_eq!(program.reads(&disk), [], "their originals are still open");
                program.now += WAIT;
                program.registry.gone("app.log.1", 1);
                let length = line.len() as u64;
                assert_eq!(program.reads(&disk), [("app.log.2.gz".to_owned(), length)]);
                program.registry.gone("b.log.1", 1);
            }
            let reads = program.reads(&disk);
            assert!(reads.iter().all(|(_, from)| *from == line.len() as u64), "{reads:?}");
            assert!(program.registry.open(id(4)).is_some());
        }
    }
}

#[test]
fn a_file_of_one_line_is_another_one_if_it_is_not_compressed_or_goes_on() {
    for (path, more) in [("other", String::new()), ("other.gz", text(12, 13))] {
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("app.log", 1, text(11, 12));
        program.reads(&disk);
        program.registry.gone("app.log", 1);
        disk.files.clear();
        disk.put(path, 2, text(11, 12) + &more);
        assert_eq!(program.reads(&disk), [(path.to_owned(), 0)]);
    }
}

/// It holds for a new original and one that was empty before, whatever the names are.
#[test]
fn a_copy_that_is_found_together_with_its_original_waits() {
    for copy in ["app.log.gz", "a-copy"] {
        let (mut disk, mut program) = (Disk::default(), Program::new([]));
        disk.put("app.log", 1, String::new());
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
        program.registry.left("app.log", None); // its reader has seen that it is no longer empty
        disk.put("app.log", 1, text(0, 50));
        disk.put(copy, 2, text(0, 50));
        assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)], "{copy}");
        disk.files.remove("app.log");
        assert_eq!(program.reads(&disk), []);
        program.registry.gone("app.log", 1);
        assert_eq!(program.reads(&disk), [(copy.to_owned(), length(0, 50))]);
    }
    let (mut disk, mut program) = (Disk::default(), Program::new([]));
    disk.put("app.log", 1, text(0, 50));
    disk.put("app.log.1", 2, text(0, 50));
    assert_eq!(program.reads(&disk), [("app.log".to_owned(), 0)]);
    program.now += WAIT;
    assert_eq!(program.reads(&disk), [("app.log.1".to_owned(), 0)], "then they are two");
}

#[test]
fn an_equal_banner_delays_a_file_only_until_the_other_file_is_read() {
    let banner = text(0, 300);
    let (mut disk, mut program) = (Disk::default(), Program::new([]));
    disk.put("a", 1, banner.clone() + &text(1000, 1100));
    disk.put("b", 2, banner + &text(2000, 2100));
    assert_eq!(program.reads(&disk), [("a".to_owned(), 0)]);
    assert_eq!(program.reads(&disk), [("b".to_owned(), 0)]);
}

/// The run ended when a checkpoint knew the new content, but not the copy.
#[test]
fn each_content_that_one_inode_had_is_known() {
    for new in ["app.log@2", "an-app.log", "b"] {
        let (mut disk, program) = read_one(100);
        let mut records = program.records();
        let read = fingerprint(&text(130, 140), 50);
        let (path, generation) = new.split_once('@').map_or((new, 1), |(path, _)| (path, 2));
        let path = path.to_owned();
        let of = FileRecord { path, generation, id: id(1), earlier: 1, ..FileRecord::default() };
        records.push(FileRecord { read, ..of });
        let mut program = Program::new(records);
        disk.put("app.log", 1, text(130, 150));
        disk.put("app.log.1", 2, text(0, 130)); // 30 lines more than were read
        let wanted =
            [("app.log".to_owned(), length(130, 140)), ("app.log.1".to_owned(), length(0, 100))];
        assert_eq!(program.reads(&disk), wanted, "{new}");
    }
}
