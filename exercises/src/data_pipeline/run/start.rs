//! What a start checks before it touches anything: the settings are compiled, addresses are read,
//! the sources are found and opened for reading, every path is resolved to device and inode, and no
//! regular file has two roles. Nothing is created, cut or locked here, so a wrong setting does no
//! harm.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf, absolute};

use glob::{MatchOptions, Pattern};
use rustix::fs::Access;

use super::failure::Failure;
use crate::closed;
use crate::data_pipeline::config::{Config, is_stdout, sink_path};
use crate::data_pipeline::event::form::{HEAD, not_lines};
use crate::data_pipeline::event::job::Job;
use crate::data_pipeline::monitor::warnings::{Case, Warning};
use crate::data_pipeline::sink::Writer;
use crate::data_pipeline::source::content::Stored;
use crate::data_pipeline::source::place::matching;
use crate::data_pipeline::state::checkpoint::own_files;
use crate::data_pipeline::{monitor, source};

/// Most symlinks that are followed to a file that does not exist yet: as many as Linux follows.
const LINKS: usize = 40;

/// The compiled settings, and notes about the sources.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) job: Job,
    pub(crate) warnings: Vec<Warning>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// A regular file, by device and inode: links of both kinds lead to one place.
    File(u64, u64),
    /// A file that does not exist yet: its resolved directory, and its name there.
    Free(PathBuf),
}

/// A file that a setting names.
#[derive(Debug)]
struct Role {
    place: Place,
    /// The setting with its value, for messages.
    name: String,
}

impl Plan {
    /// Checks everything that complete settings name.
    ///
    /// # Errors
    ///
    /// Names the first thing that cannot work, and its setting. What settings say wrong by
    /// themselves or against each other is wrong for good; a file or a directory may come.
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        let plan = Self::compile(config).map_err(Failure::Settings)?;
        if closed::stdout() && config.sinks().any(|(name, ..)| is_stdout(name)) {
            let message = "cannot write to stdout: it is closed; give --out a file, or /dev/null";
            return Err(Failure::Run(message.to_owned()));
        }
        let (inputs, warnings) = inputs(config)?;
        let outputs = outputs(config)?;
        let roles = one_role_each(&inputs, &outputs);
        roles.and_then(|()| not_found_as_inputs(config, &outputs)).map_err(Failure::Settings)?;
        Ok(Self { warnings, ..plan })
    }

    /// The compiled settings, without looking at what they name.
    pub(crate) fn compile(config: &Config) -> Result<Self, String> {
        addresses(config)?;
        Ok(Self { job: Job::compile(config)?, warnings: Vec::new() })
    }
}

/// Checks that each network address is valid.
fn addresses(config: &Config) -> Result<(), String> {
    for (flag, address) in [("--http", &config.http), ("--listen", &config.listen)] {
        if let Some(address) = address {
            monitor::address(flag, address)?;
        }
    }
    source::check_server(config)?;
    config.sinks().try_for_each(|(name, ..)| Writer::check(name, config))
}

/// The regular files that will be read, each of which could be opened, and notes about the others.
fn inputs(config: &Config) -> Result<(Vec<Role>, Vec<Warning>), Failure> {
    let (mut roles, mut warnings) = (Vec::new(), Vec::new());
    for pattern in &config.file {
        let (mut is_empty, mut other) = (true, None);
        for (path, metadata) in matching(pattern).map_err(Failure::Settings)? {
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(_) if config.follow => continue, // it is tried again, with a warning
                Err(err) => return Err(format!("cannot read {}: {err}", path.display()).into()),
            };
            if !metadata.is_file() {
                other = Some((path, kind(&metadata)));
                continue;
            }
            match (form(&path), config.follow) {
                (Ok(Some(hint)), false) => {
                    return Err(format!("cannot read {}: it is {hint}", path.display()).into());
                }
                (Err(err), false) => {
                    return Err(format!("cannot read {}: {err}", path.display()).into());
                }
                _ => {} // a followed file may be replaced by another
            }
            is_empty = false;
            let shown = path.display().to_string();
            let name = if shown == *pattern { shown } else { format!("{pattern} ({shown})") };
            roles.push(Role { place: place(&metadata), name: format!("--file {name}") });
        }
        if !is_empty {
            continue;
        }
        let text = match (other, config.follow) {
            (Some((path, kind)), _) => {
                format!("--file {pattern} gives nothing: {} is {kind}", path.display())
            }
            (None, true) => format!("no file matches --file {pattern} yet"),
            (None, false) => format!("no file matches --file {pattern}"),
        };
        if !config.follow {
            return Err(text.into());
        }
        let subject = pattern.clone();
        warnings.push(Warning { case: Case::SourceGaveNothing, subject, text });
    }
    if config.stdin {
        if closed::stdin() {
            return Err(Failure::Run(
                "--stdin: stdin is closed; give a file, or /dev/null".to_owned(),
            ));
        }
        roles.extend(open_file(io::stdin().as_fd(), "--stdin"));
    }
    Ok((roles, warnings))
}

/// What a file is, if it does not hold lines of JSON.
fn form(path: &Path) -> io::Result<Option<&'static str>> {
    let mut head = [0; HEAD];
    let length = Stored::new(File::open(path)?.into())?.fill(&mut head, 0);
    Ok(not_lines(&head[..length.unwrap_or(0)])) // a torn file is reported when it is read
}

/// The kind of a path that is not a regular file, and how to read it.
fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory; write DIRECTORY/* for the files in it"
    } else if kind.is_fifo() {
        "a FIFO; read it with --stdin < FIFO"
    } else {
        "not a regular file"
    }
}

/// The regular files that will be written, including those that do not exist yet. Each can be
/// written or created.
fn outputs(config: &Config) -> Result<Vec<Role>, Failure> {
    let (mut roles, mut stdout) = (Vec::new(), None);
    for (sink, content, _) in config.sinks() {
        let name = format!("{} {sink}", content.flag());
        if let Some(path) = sink_path(sink) {
            roles.extend(output(path, name)?);
        } else if is_stdout(sink) {
            stdout = open_file(io::stdout().as_fd(), &name); // several sinks may go there
        }
    }
    roles.extend(stdout);
    if let Some(path) = &config.checkpoint {
        for file in own_files(path) {
            let name = if file == *path {
                format!("--checkpoint {}", path.display())
            } else {
                format!("--checkpoint {} ({})", path.display(), file.display())
            };
            roles.extend(output(&file, name)?);
        }
    }
    Ok(roles)
}

/// `None` if it is not a regular file, such as `/dev/null` or a pipe, which may have any number of
/// roles.
fn output(path: &Path, name: String) -> Result<Option<Role>, Failure> {
    let failed = |err: io::Error| format!("cannot write to {name}: {err}");
    let place = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(format!("cannot write to {name}: it is a directory").into());
        }
        Ok(metadata) if !metadata.is_file() => return Ok(None),
        Ok(metadata) => {
            File::options().write(true).open(path).map_err(failed)?; // neither made nor cut
            place(&metadata)
        }
        Err(err) if err.kind() == ErrorKind::NotFound => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                let why = format!("cannot write to {name}: a file's name does not end with /");
                return Err(Failure::Settings(why));
            }
            Place::Free(free(path).map_err(failed)?)
        }
        Err(err) => return Err(failed(err).into()),
    };
    Ok(Some(Role { place, name }))
}

fn place(metadata: &Metadata) -> Place {
    Place::File(metadata.dev(), metadata.ino())
}

/// The path at which a missing file would be made, with its directory resolved. The directory must
/// exist and be writable.
fn free(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize()?;
        if let Ok(target) = fs::read_link(&path) {
            path = parent.join(target); // a link that leads nowhere yet
            continue;
        }
        rustix::fs::access(&parent, Access::WRITE_OK | Access::EXEC_OK)?;
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        return Ok(parent.join(name));
    }
    Err(io::Error::other("too many links"))
}

/// Stdin or stdout, if the shell has connected it with a regular file.
fn open_file(descriptor: BorrowedFd<'_>, name: &str) -> Option<Role> {
    let file = File::from(descriptor.try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some(Role { place: place(&metadata), name: name.to_owned() })
}

/// A file may be read twice. A file that is written must not be read, nor written under another
/// setting.
fn one_role_each(inputs: &[Role], outputs: &[Role]) -> Result<(), String> {
    let mut written = HashMap::new();
    for role in outputs {
        if let Some(before) = written.insert(&role.place, role) {
            return Err(two_roles(before, role));
        }
    }
    let twice = inputs.iter().find_map(|role| Some((role, *written.get(&role.place)?)));
    twice.map_or(Ok(()), |(input, output)| Err(two_roles(input, output)))
}

fn two_roles(first: &Role, second: &Role) -> String {
    format!(
        "{} and {} are one file; nothing was touched, give each a file of its own",
        first.name, second.name
    )
}

/// An output that does not exist yet must not match a source's pattern: it would be found as a
/// source later.
fn not_found_as_inputs(config: &Config, outputs: &[Role]) -> Result<(), String> {
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
    for pattern in &config.file {
        let Ok(pattern_of) = absolute(pattern) else { continue };
        let Ok(compiled) = Pattern::new(&pattern_of.to_string_lossy()) else { continue };
        let found = outputs.iter().find(|role| match &role.place {
            Place::Free(path) => compiled.matches_path_with(path, options),
            Place::File(..) => false,
        });
        if let Some(output) = found {
            return Err(format!(
                "--file {pattern} matches {}, which would be read as it is written; nothing was \
                 touched, give it a name that does not match",
                output.name
            ));
        }
    }
    Ok(())
}
