use std::fmt;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::process;

/// Prints a line to stdout, as `println!` does, for a program that may be cut short.
///
/// `println!` panics when stdout is closed, which is what `| head -1` does. Here a closed stdout
/// ends the program quietly with status 0, and any other failure, such as a full disk, ends it
/// with one line on stderr and status 1.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::print_line(::core::format_args!($($arg)*)) };
}

#[doc(hidden)]
pub fn print_line(line: fmt::Arguments<'_>) {
    writeln!(io::stdout().lock(), "{line}").unwrap_or_else(|err| stop(&err));
}

/// Stdout for a program that prints a lot: locked, buffered, and flushed when it is dropped.
///
/// Its writes never fail: they end the program as [`say!`](crate::say) does.
pub struct Stdout(BufWriter<StdoutLock<'static>>);

/// Locks stdout and buffers what is written to it.
pub fn stdout() -> Stdout {
    Stdout(BufWriter::with_capacity(64 * 1024, io::stdout().lock()))
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).or_else(|err| stop(&err))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().or_else(|err| stop(&err))
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        let _ = self.flush(); // it ends the program if it fails
    }
}

/// Ends the program because stdout takes nothing more.
fn stop(err: &io::Error) -> ! {
    if err.kind() == ErrorKind::BrokenPipe {
        process::exit(0);
    }
    complain(format_args!("cannot write to stdout: {err}"));
    process::exit(1)
}

/// One line on stderr. If that is closed as well, the message is lost.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "error: {what}");
}
