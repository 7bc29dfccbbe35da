//! What a program that is installed brings along: completions for the shell, and its man page.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::process;

use clap::{Command, Parser};
use clap_complete::Shell;

/// Parses the command line, as [`common::parse`] does. If it begins with `--completions` or
/// `--man`, that is printed instead, and the program ends.
pub fn parse<A: Parser>() -> A {
    if env::args_os().nth(1).is_some_and(|first| asks_for_extras(&first)) {
        let extras: Extras = common::parse();
        // Stdout ends the program itself if it takes nothing more.
        extras.print(A::command(), &mut common::stdout()).expect("stdout does not fail");
        process::exit(0);
    }
    common::parse()
}

fn asks_for_extras(first: &OsStr) -> bool {
    let flag = first.to_str().and_then(|first| first.split('=').next());
    matches!(flag, Some("--completions" | "--man"))
}

/// Print what an installed program brings along
#[derive(Parser)]
#[group(required = true, multiple = false)]
struct Extras {
    /// Print the completions for this shell
    #[arg(long, value_name = "SHELL")]
    completions: Option<Shell>,

    /// Print the man page
    #[arg(long)]
    man: bool,
}

impl Extras {
    fn print(&self, mut program: Command, out: &mut impl Write) -> io::Result<()> {
        let name = program.get_name().to_owned();
        match self.completions {
            Some(shell) => clap_complete::generate(shell, &mut program, name, out),
            None => print_man_pages(program, out)?,
        }
        out.flush()
    }
}

/// The page of the program, and behind it those of its subcommands.
fn print_man_pages(program: Command, out: &mut impl Write) -> io::Result<()> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    clap_mangen::Man::new(program.clone()).render(out)?;
    for subcommand in program.get_subcommands() {
        clap_mangen::Man::new(subcommand.clone()).render(out)?;
    }
    Ok(())
}
