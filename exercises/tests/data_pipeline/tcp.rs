//! Lines over TCP, in and out.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::kit::{Kit, address, get, lines, received, sorted};

fn connect(kit: &Kit, address: &str) -> TcpStream {
    let mut stream = None;
    kit.wait_until("the listener", || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    });
    stream.unwrap()
}

#[test]
fn a_flood_comes_in_whole_while_a_thousand_connections_are_idle() {
    let (kit, address) = (Kit::new(), address());
    let running = kit.start(&["--listen", &address, "--out", "out"]);
    let first = connect(&kit, &address);
    let idle: Vec<_> = (0..1000).map(|_| connect(&kit, &address)).collect();
    std::thread::scope(|scope| {
        for part in 0..8 {
            let mut stream = connect(&kit, &address);
            scope.spawn(move || {
                let text = lines(part * 50_000..(part + 1) * 50_000);
                stream.write_all(text.as_bytes()).unwrap();
            });
        }
    });
    let all = lines(0..400_000);
    kit.wait_until("all lines", || kit.read("out").len() == all.len());
    assert!(sorted(&kit.read("out")) == sorted(&all));
    assert!(running.peak_mib() < 48, "{} MiB", running.peak_mib());
    drop((first, idle));
    assert_eq!(running.stop(), Some(0));
}

/// The senders have to wait: they cannot write on until the receiver reads.
#[test]
fn a_flood_into_a_sink_that_stalls_is_held_back_and_none_of_it_is_lost() {
    let (kit, page, address) = (Kit::new(), address(), address());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = format!("tcp://{}", listener.local_addr().unwrap());
    let running = kit.start(&["--listen", &address, "--out", &sink, "--http", &page]);
    let text = lines(0..100_000).repeat(6); // more than all buffers on the way hold
    let mut stream = connect(&kit, &address);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut sent = 0;
    loop {
        match stream.write(&text.as_bytes()[sent..]) {
            Ok(written) if sent + written < text.len() => sent += written,
            Ok(_) => panic!("a sink that stalls did not hold the sender back"),
            Err(_) => break, // nothing went out for a second
        }
    }
    assert!(running.peak_mib() < 48, "{} MiB", running.peak_mib());
    let reader = std::thread::spawn(move || received(&listener));
    stream.set_write_timeout(None).unwrap();
    stream.write_all(&text.as_bytes()[sent..]).unwrap();
    drop(stream);
    kit.wait_until("the last line", || {
        let read = "component_received_events_total{component_id=\"parse\"";
        get(&page, "/metrics")
            .lines()
            .any(|line| line.starts_with(read) && line.ends_with(" 600000"))
    });
    assert_eq!(running.stop(), Some(0));
    let received = reader.join().unwrap();
    assert_eq!(received.len(), 600_000);
    assert!(received[599_999].ends_with("\"v\":99999}"), "{}", received[599_999]);
}

/// Unfinished lines from many connections must not use up the memory.
#[test]
fn a_connection_whose_half_line_would_be_too_much_is_closed() {
    let (kit, address) = (Kit::new(), address());
    let args = ["--listen", &address, "--out", "out", "--dead-letters", "dead"];
    let running = kit.start(&args);
    let half = vec![b'x'; 1_000_000]; // just below --max-line, and 8 MiB are held at most
    let halves: Vec<_> = (0..12)
        .map(|_| {
            let mut stream = connect(&kit, &address);
            // A connection that is closed while it writes gets an error, as expected.
            let _ = stream.write_all(&half);
            stream
        })
        .collect();
    let closed = || kit.read("stderr").matches("closed: too many unfinished lines").count();
    kit.wait_until("the last four to be closed", || closed() == 4);
    // The remaining connections, and new ones with whole lines, go on.
    connect(&kit, &address).write_all(b"{\"a\":1}\n").unwrap();
    kit.wait_until("a whole line", || kit.read("out") == "{\"a\":1}\n");
    assert!(running.peak_mib() < 48, "{} MiB", running.peak_mib());
    drop(halves);
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn windows_and_dead_letters_can_go_over_tcp() {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (kit, windows, letters) = (Kit::new(), listen(), listen());
    let sink = |listener: &TcpListener| format!("tcp://{}", listener.local_addr().unwrap());
    let args = ["--file", "in", "--by", "k", "--p", "v", "--out", "out"];
    kit.write("in", &(lines(0..5000) + "not json\n"));
    kit.ok(&[&args[..], &["--aggregates", "win", "--dead-letters", "dead"]].concat());
    let sinks = ["--aggregates", &sink(&windows), "--dead-letters", &sink(&letters)];
    let mut running = kit.start(&[&args[..], &sinks].concat());
    let windows = std::thread::spawn(move || received(&windows));
    assert_eq!(received(&letters), kit.read("dead").lines().collect::<Vec<_>>());
    assert_eq!(windows.join().unwrap(), kit.read("win").lines().collect::<Vec<_>>());
    assert!(running.0.wait().unwrap().success());
}

/// A line of a stream in another run is another event, even at the same offset.
#[test]
fn ids_name_the_machine_and_of_a_stream_that_is_read_once_the_run() {
    let (address, listener) = (address(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (kit, sink) = (Kit::new(), format!("tcp://{}", listener.local_addr().unwrap()));
    kit.write("in", "{\"a\":1}\n");
    let args = ["--file", "in", "--listen", &address, "--node", "web-1", "--out", &sink];
    let running = kit.start(&args);
    connect(&kit, &address).write_all(b"{\"a\":2}\n").unwrap();
    let mut two: Vec<_> =
        BufReader::new(listener.accept().unwrap().0).lines().take(2).map(Result::unwrap).collect();
    two.sort_unstable();
    assert_eq!(two[0], "{\"_source_id\":\"web-1/in:0\",\"a\":1}");
    let (name, offset) = two[1].split_once('@').unwrap();
    assert!(name.starts_with("{\"_source_id\":\"web-1/tcp:127.0.0.1:"), "{two:?}");
    assert!(offset.ends_with(":0\",\"a\":2}"), "{two:?}");
    assert_eq!(running.stop(), Some(0));
}

/// A field `_id` belongs to the event. A line that already has an id from another node keeps it,
/// wherever the field stands and however it is escaped.
#[test]
fn an_event_keeps_its_id_and_its_own_id_field() {
    let (kit, listener) = (Kit::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let sink = format!("tcp://{}", listener.local_addr().unwrap());
    let before = [
        r#"{"_id":"mine"}"#,
        r#"{ "a":1, "_source_id" : "n/f:7" }"#,
        r#"{"\u005fsource_id":"n/f:8"}"#,
        r#"{"_source_id":9}"#,
        "{}",
    ];
    kit.write("in", &before.map(|line| format!("{line}\n")).concat());
    let args = ["--file", "in", "--out", &sink, "--dead-letters", "dead"];
    let mut running = kit.start(&args);
    let after = [r#"{"_source_id":"in:0","_id":"mine"}"#, before[1], before[2]];
    assert_eq!(received(&listener)[..3], after);
    assert!(running.0.wait().unwrap().success());
    assert!(
        kit.read("dead").contains("the field _source_id holds no text"),
        "{}",
        kit.read("dead")
    );
    let mut running = kit.start(&[&args[..], &["--id-field", "_id"]].concat());
    assert_eq!(received(&listener)[0], before[0]);
    assert!(running.0.wait().unwrap().success());
}

#[test]
fn a_line_that_is_cut_is_a_dead_letter() {
    let (kit, address) = (Kit::new(), address());
    let args = ["--listen", &address, "--out", "out", "--dead-letters", "dead"];
    let running = kit.start(&args);
    let mut stream = connect(&kit, &address);
    stream.write_all(b"{\"a\":1}\n{\"a\":").unwrap();
    drop(stream);
    kit.wait_until("the dead letter", || kit.read("dead").contains("\"raw\":\"{\\\"a\\\":\""));
    assert_eq!(kit.read("out"), "{\"a\":1}\n");
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_receiver_that_comes_late_gets_every_line_with_its_id() {
    let (kit, address) = (Kit::new(), address());
    kit.write("in", &lines(0..50_000));
    let sink = format!("tcp://{address}");
    let mut running = kit.start(&["--file", "in", "--out", &sink, "--checkpoint", "ck"]);
    kit.wait_until("the warning", || kit.read("stderr").contains("no connection to tcp://"));
    let received = received(&TcpListener::bind(&address).unwrap());
    running.0.wait().unwrap();
    assert_eq!(received.len(), 50_000);
    assert!(received.iter().all(|line| line.starts_with("{\"_source_id\":\"in:")));
    assert!(received[49_999].ends_with("\"v\":49999}"), "{}", received[49_999]);
}

#[test]
fn a_connection_that_the_receiver_closes_is_opened_again() {
    let (kit, address) = (Kit::new(), address());
    kit.write("in", &lines(0..300_000));
    let listener = TcpListener::bind(&address).unwrap();
    let mut running = kit.start(&["--file", "in", "--out", &format!("tcp://{address}")]);
    let mut first = BufReader::new(listener.accept().unwrap().0);
    first.read_line(&mut String::new()).unwrap();
    drop(first); // what it was sent beyond that line is lost: the loss window of plain TCP
    let second = BufReader::new(listener.accept().unwrap().0).lines();
    let last = second.last().unwrap().unwrap();
    assert!(last.ends_with("\"v\":299999}"), "{last}");
    assert!(running.0.wait().unwrap().success());
}
