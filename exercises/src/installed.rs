//! What an installed program offers: shell completions, its man page, and command-line errors that
//! cannot harm a terminal.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Args, Command, CommandFactory, Parser};
use clap_complete::Shell;

use crate::terminal::plain_lines;

/// Parses the command line, as [`common::parse`] does. If `--completions` or `--man` is in it, that
/// is printed instead, and the program ends.
pub fn parse<A: Parser>() -> A {
    parse_with(|_| None)
}

/// The same; `explain` may say more of an error than clap does.
pub fn parse_with<A: Parser>(explain: impl Fn(&clap::Error) -> Option<String>) -> A {
    let mut command = Extras::augment_args(A::command().args_override_self(true));
    if let Some(extras) = extras(env::args_os()) {
        let extras = Asked::try_parse_from(extras).unwrap_or_else(|err| stop(&err));
        // Stdout ends the program itself if it takes nothing more.
        extras.extras.print(command, &mut common::stdout()).expect("stdout does not fail");
        process::exit(0);
    }
    let matches = command.try_get_matches_from_mut(env::args_os());
    let parsed = matches.and_then(|mut matches| A::from_arg_matches_mut(&mut matches));
    parsed.unwrap_or_else(|err| {
        let explained = explain(&err).map(|why| command.error(ErrorKind::UnknownArgument, why));
        let err = explained.unwrap_or_else(|| err.format(&mut command));
        if err.use_stderr() {
            stop(&err);
        }
        common::say!("{}", err.render().to_string().trim_end());
        process::exit(0)
    })
}

/// Ends the program with an error about its command line, in clap's style and with status 2.
pub fn usage_error<A: CommandFactory>(message: &str) -> ! {
    stop(&A::command().error(ErrorKind::ValueValidation, message))
}

/// Prints an error of the command line, which may hold what others have written: a pattern or a
/// name that a shell has expanded.
fn stop(err: &clap::Error) -> ! {
    let text = err.render().to_string();
    let plain = plain_lines(&text);
    if plain == text {
        err.exit(); // in colour, where that is wanted
    }
    let _ = write!(io::stderr().lock(), "{plain}"); // nobody is left to tell if that is closed
    process::exit(err.exit_code())
}

/// The program's name and the flags that ask for extras, if there are any.
fn extras(args: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut args = args.take_while(|arg| arg != "--");
    let mut extras = vec![args.next()?];
    while let Some(arg) = args.next() {
        match arg.to_str().and_then(|arg| arg.split('=').next()) {
            Some("--completions") if arg == "--completions" => {
                extras.push(arg);
                extras.extend(args.next());
            }
            Some("--completions" | "--man") => extras.push(arg),
            _ => {}
        }
    }
    (extras.len() > 1).then_some(extras)
}

#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    extras: Extras,
}

#[derive(Args)]
#[group(required = false, multiple = false)]
#[command(next_help_heading = "To install")]
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
            Some(shell) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut program, &name, &mut script);
                let script = String::from_utf8(script).expect("it is made of names and texts");
                // In bash, clap_complete 4.6 names a subcommand in two ways if there is a hyphen in
                // the program's name, and then offers nothing.
                let wrong = name.replace('-', "__subcmd__");
                write!(out, "{}", script.replace(&wrong, &name.replace('-', "__")))?;
            }
            None => print_man_pages(program, out)?,
        }
        out.flush()
    }
}

/// The page of the program, and behind it those of its subcommands.
fn print_man_pages(program: Command, out: &mut impl Write) -> io::Result<()> {
    let mut program = with_all_texts(program).disable_help_subcommand(true).propagate_version(true);
    program.build();
    print_man_page(program.clone(), out)?;
    for subcommand in program.get_subcommands() {
        print_man_page(subcommand.clone(), out)?;
    }
    Ok(())
}

/// The same with the texts that `-h` leaves out: a man page has all of them.
fn with_all_texts(program: Command) -> Command {
    program.mut_args(|arg| arg.hide_short_help(false)).mut_subcommands(with_all_texts)
}

/// One man page. A heading below the flags in `--help`, such as `Examples:`, begins a section.
fn print_man_page(program: Command, out: &mut impl Write) -> io::Result<()> {
    let after = program.get_after_long_help().or(program.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let sections = after.split("\n\n").filter_map(|section| section.split_once(":\n"));
    let sections: Vec<_> = sections.collect();
    if sections.is_empty() && !after.is_empty() {
        return clap_mangen::Man::new(program).render(out);
    }
    let program = program.after_help(Resettable::Reset).after_long_help(Resettable::Reset);
    clap_mangen::Man::new(program).render(out)?;
    for (heading, text) in sections {
        writeln!(out, ".SH \"{}\"\n.nf", heading.to_uppercase())?;
        for line in text.lines() {
            let line = line.trim_start().replace('\\', "\\e").replace('-', "\\-");
            writeln!(out, "\\&{line}")?;
        }
        writeln!(out, ".fi")?;
    }
    Ok(())
}
