//! The rows: what the exercises must survive, and what shows that they do.

use attacks::Result;

use super::{Count, Lab, client, pipeline};

pub enum How {
    /// Made here.
    Drill(fn(&mut Lab) -> Result<Count>),
    /// By these tests of that test program.
    Tests(&'static str, &'static [&'static str]),
}

/// The program, the fault, and how.
pub const ROWS: &[(&str, &str, How)] = &[
    (
        "data-pipeline",
        "malformed JSON, invalid UTF-8",
        How::Tests(
            "data_pipeline",
            &["program::unparsable_lines_are_kept_with_their_place_and_reason"],
        ),
    ),
    (
        "data-pipeline",
        "a line of 10 MB",
        How::Tests(
            "data_pipeline",
            &["program::a_line_of_10_mb_goes_to_the_dead_letters_in_bounded_memory"],
        ),
    ),
    (
        "data-pipeline",
        "empty file",
        How::Tests("data_pipeline", &["program::empty_files_give_no_events"]),
    ),
    (
        "data-pipeline",
        "no final newline, CRLF",
        How::Tests("data_pipeline", &["program::matching_lines_come_out_byte_for_byte"]),
    ),
    (
        "data-pipeline",
        "rotation by rename and by copy-truncate",
        How::Tests(
            "data_pipeline",
            &[
                "crash::a_file_is_followed_through_both_kinds_of_rotation",
                "program::a_file_that_was_renamed_while_nothing_ran_is_read_to_its_end",
            ],
        ),
    ),
    (
        "data-pipeline",
        "a recycled inode",
        How::Tests("data_pipeline", &["crash::a_file_with_a_recycled_inode_is_another_file"]),
    ),
    (
        "data-pipeline",
        "a checkpoint cut or altered anywhere",
        How::Drill(pipeline::torn_checkpoint),
    ),
    (
        "data-pipeline",
        "slow sink, stalled sink",
        How::Tests(
            "data_pipeline",
            &[
                "stall::a_receiver_that_does_not_read_stops_the_sources",
                "stall::a_sink_that_may_drop_holds_nothing_up_and_counts_what_it_drops",
            ],
        ),
    ),
    (
        "data-pipeline",
        "sink down",
        How::Tests(
            "data_pipeline",
            &[
                "tcp::a_receiver_that_comes_late_gets_every_line_with_its_id",
                "tcp::a_connection_that_the_receiver_closes_is_opened_again",
            ],
        ),
    ),
    ("data-pipeline", "disk full (a real one)", How::Drill(pipeline::disk_full)),
    (
        "data-pipeline",
        "the checkpoint's disk full (a real one)",
        How::Drill(pipeline::checkpoint_disk_full),
    ),
    (
        "data-pipeline",
        "write succeeds, fsync fails (a real disk)",
        How::Drill(pipeline::failing_fsync),
    ),
    (
        "data-pipeline",
        "/dev/full",
        How::Tests(
            "data_pipeline",
            &["program::a_full_disk_is_an_error_and_no_checkpoint_covers_it"],
        ),
    ),
    (
        "data-pipeline",
        "SIGTERM in mid-run",
        How::Tests(
            "data_pipeline",
            &["crash::stopped_in_mid_run_it_exits_with_0_and_goes_on_later"],
        ),
    ),
    ("data-pipeline", "kill -9 at random points", How::Drill(pipeline::killed)),
    (
        "data-pipeline",
        "nats-server killed and restarted",
        How::Tests(
            "data_pipeline",
            &["nats::nothing_is_lost_when_the_server_is_killed_in_mid_run"],
        ),
    ),
    (
        "data-pipeline",
        "a consumer killed",
        How::Tests("data_pipeline", &["nats::the_messages_of_a_killed_worker_go_to_the_other"]),
    ),
    (
        "data-pipeline",
        "TCP cut in mid-line",
        How::Tests("data_pipeline", &["tcp::a_line_that_is_cut_is_a_dead_letter"]),
    ),
    (
        "data-pipeline",
        "a flood, 1,000 idle connections",
        How::Tests(
            "data_pipeline",
            &[
                "tcp::a_flood_comes_in_whole_while_a_thousand_connections_are_idle",
                "tcp::a_flood_into_a_sink_that_stalls_is_held_back_and_none_of_it_is_lost",
            ],
        ),
    ),
    (
        "data-pipeline",
        "a late event",
        How::Tests("data_pipeline", &["program::a_late_event_is_counted_apart_and_kept"]),
    ),
    (
        "data-pipeline",
        "a clock far in the future",
        How::Tests(
            "data_pipeline",
            &["program::a_clock_far_in_the_future_makes_no_other_source_late"],
        ),
    ),
    (
        "data-pipeline",
        "two processes on one checkpoint",
        How::Tests("data_pipeline", &["crash::a_second_process_on_a_checkpoint_is_refused"]),
    ),
    (
        "data-pipeline",
        "stdout closed, stdout full, bad usage",
        How::Tests("data_pipeline", &["program::survives_all_faults"]),
    ),
    (
        "file-processor",
        "no permission",
        How::Tests(
            "file_processor",
            &["survives::an_unreadable_file_is_an_error_and_nothing_else_is_lost"],
        ),
    ),
    (
        "file-processor",
        "vanishes, grows or shrinks while read, /proc",
        How::Tests(
            "file_processor",
            &["survives::a_file_is_read_to_its_end_whatever_its_size_says"],
        ),
    ),
    (
        "file-processor",
        "NUL bytes, invalid UTF-8 in content and names",
        How::Tests("file_processor", &["survives::content_and_names_may_be_any_bytes"]),
    ),
    (
        "file-processor",
        "one line of 50 MB",
        How::Tests("file_processor", &["survives::a_line_of_50_megabytes_costs_no_memory"]),
    ),
    (
        "file-processor",
        "FIFO and device",
        How::Tests(
            "file_processor",
            &[
                "survives::fifos_and_devices_never_hang_it",
                "survives::a_fifo_with_a_writer_is_counted",
            ],
        ),
    ),
    (
        "file-processor",
        "symlink loop, hard links",
        How::Tests(
            "file_processor",
            &[
                "survives::a_loop_of_symlinks_is_one_error",
                "survives::a_file_with_two_names_counts_twice",
            ],
        ),
    ),
    (
        "file-processor",
        "50,000 files with 64 descriptors",
        How::Tests(
            "file_processor",
            &["survives::fifty_thousand_files_need_few_descriptors_and_little_memory"],
        ),
    ),
    (
        "file-processor",
        "stdout closed early",
        How::Tests("file_processor", &["survives::a_reader_that_leaves_early_ends_it_quietly"]),
    ),
    (
        "file-processor",
        "/dev/full, bad usage",
        How::Tests("file_processor", &["survives::survives_all_faults"]),
    ),
    (
        "file-processor",
        "an empty directory",
        How::Tests(
            "file_processor",
            &["survives::an_empty_directory_has_no_files_and_is_no_error"],
        ),
    ),
    (
        "file-processor",
        "a panic in a worker",
        How::Tests("file_processor", &["survives::a_planted_panic_is_an_error_in_the_result"]),
    ),
    (
        "file-processor",
        "Ctrl-C",
        How::Tests("file_processor", &["survives::an_interrupt_prints_the_partial_result"]),
    ),
    (
        "api-client",
        "DNS failure, refused",
        How::Tests(
            "api_client",
            &[
                "local::a_host_without_an_address_is_a_dns_error",
                "local::a_refused_connection_is_tried_again_until_patience_ends",
            ],
        ),
    ),
    (
        "api-client",
        "reset before and in mid-body",
        How::Tests("api_client", &["local::a_reset_is_tried_again"]),
    ),
    (
        "api-client",
        "TLS error",
        How::Tests(
            "api_client",
            &[
                "local::a_host_that_speaks_no_tls_is_not_tried_again",
                "local::a_certificate_that_nobody_trusts_is_not_tried_again",
            ],
        ),
    ),
    (
        "api-client",
        "no HTTP at all",
        How::Tests("api_client", &["local::an_answer_that_is_not_http_is_malformed_and_tried_twice"]),
    ),
    (
        "api-client",
        "never-ending body",
        How::Tests(
            "api_client",
            &[
                "local::a_body_without_end_is_cut_at_max_body",
                "local::a_body_without_end_is_cut_at_the_timeout",
            ],
        ),
    ),
    (
        "api-client",
        "one byte a second, silence",
        How::Tests("api_client", &["local::a_byte_a_second_and_silence_are_idle"]),
    ),
    (
        "api-client",
        "truncated body",
        How::Tests(
            "api_client",
            &[
                "local::a_truncated_body_is_a_failure",
                "local::an_incomplete_body_leaves_no_file",
            ],
        ),
    ),
    (
        "api-client",
        "redirect loop, redirect to another host",
        How::Tests(
            "api_client",
            &[
                "local::a_loop_of_redirects_ends",
                "local::a_redirect_is_charged_to_the_host_it_leads_to",
            ],
        ),
    ),
    (
        "api-client",
        "Retry-After garbage, negative, past, a year ahead",
        How::Tests("api_client", &["local::whatever_retry_after_says_the_request_is_fetched_or_ends_with_a_time"]),
    ),
    (
        "api-client",
        "429 storm, outage, 503 half of the time",
        How::Tests(
            "api_client",
            &[
                "local::a_host_that_rejects_everything_is_given_up",
                "local::an_outage_does_not_last_for_ever",
                "local::a_host_unavailable_half_of_the_time_loses_nothing",
            ],
        ),
    ),
    (
        "api-client",
        "an invalid URL, duplicates",
        How::Tests(
            "api_client",
            &[
                "local::invalid_urls_and_duplicates_each_have_an_outcome",
                "local::two_urls_never_share_a_file",
                "resume::the_same_request_twice_is_answered_twice",
            ],
        ),
    ),
    (
        "api-client",
        "disk full (a real one)",
        How::Tests(
            "api_client",
            &["program::a_full_disk_fails_what_does_not_fit_and_nothing_else"],
        ),
    ),
    ("api-client", "the journal's disk full (a real one)", How::Drill(client::journal_disk_full)),
    (
        "api-client",
        "EMFILE",
        How::Tests("api_client", &["program::few_open_files_slow_the_run_down_and_lose_nothing"]),
    ),
    (
        "api-client",
        "Ctrl-C, then --resume",
        How::Tests(
            "api_client",
            &["resume::the_first_ctrl_c_ends_what_is_in_flight_and_the_rest_is_resumed"],
        ),
    ),
    ("api-client", "kill -9 at random points, then --resume", How::Drill(client::killed)),
    ("api-client", "a journal torn anywhere", How::Drill(client::torn_journal)),
    (
        "api-client",
        "partitions, delays, resets (simulated)",
        How::Tests(
            "api_client",
            &["simulation::every_request_survives_partitions_delays_and_resets"],
        ),
    ),
    (
        "api-client",
        "stdout closed, stdout full, bad usage",
        How::Tests("api_client", &["program::survives_all_faults"]),
    ),
];
