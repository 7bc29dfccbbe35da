//! What each installed program offers: completions and man pages.

use testkit::{Run, run};

const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// Completions for every shell and a man page name the program and this flag of it; what is not
/// there is a usage error.
fn brings_along(program: &str, name: &str, flag: &str) {
    for shell in SHELLS {
        let Run { stdout, .. } = run(program, &["--completions", shell]).expect_status(0);
        assert!(stdout.contains(name) && stdout.contains(flag), "{shell}: {stdout}");
    }
    let man = run(program, &["--man"]).expect_status(0).stdout;
    let heading = format!(".TH {name} 1");
    assert!(man.contains(&heading) && man.contains(&flag.replace('-', "\\-")), "{man}");

    for bad in [&["--completions", "tin"][..], &["--completions"], &["--man", "--completions=zsh"]]
    {
        let stderr = run(program, bad).expect_status(2).stderr;
        assert!(stderr.starts_with("error: "), "{bad:?}: {stderr}");
    }
}

#[cfg(feature = "file-processor")]
#[test]
fn file_processor_brings_completions_and_a_man_page() {
    brings_along(env!("CARGO_BIN_EXE_file-processor"), "file-processor", "files0-from");
}

#[cfg(feature = "api-client")]
#[test]
fn api_client_brings_completions_and_a_man_page() {
    brings_along(env!("CARGO_BIN_EXE_api-client"), "api-client", "timeout");
}

#[cfg(feature = "data-pipeline")]
#[test]
fn data_pipeline_brings_completions_and_man_pages_even_of_subcommands() {
    let program = env!("CARGO_BIN_EXE_data-pipeline");
    brings_along(program, "data-pipeline", "policy");
    let man = run(program, &["--man"]).expect_status(0).stdout;
    for page in ["data-pipeline-run", "data-pipeline-check"] {
        assert!(man.contains(&format!(".TH {page} 1")), "{man}");
    }
    let text = "Keep events that meet this";
    assert_eq!(man.matches(text).count(), 2, "{man}");
    assert!(!man.contains(".SH EXTRA"), "{man}");
}

#[cfg(feature = "data-pipeline")]
#[test]
fn bash_completes_the_flags_of_a_subcommand() {
    let script = run(env!("CARGO_BIN_EXE_data-pipeline"), &["--completions", "bash"]).stdout;
    let ask = "COMP_WORDS=(data-pipeline run --wh) COMP_CWORD=2
        _data__pipeline data-pipeline --wh run
        echo \"${COMPREPLY[@]}\"";
    let answer = run("bash", &["--norc", "-c", &format!("{script}\n{ask}")]).expect_status(0);
    assert_eq!(answer.stdout, "--where\n");
}
