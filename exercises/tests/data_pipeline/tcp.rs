//! Lines over TCP, in and out.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::kit::{Kit, address, lines, sorted};

fn connect(kit: &Kit, address: &str) -> TcpStream {
    let mut stream = None;
    kit.wait_until("the listener", || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    });
    stream.unwrap()
}

#[test]
fn lines_come_in_from_many_connections_while_a_thousand_are_idle() {
    let (kit, address) = (Kit::new(), address());
    let running = kit.start(&["--listen", &address, "--out", "out"]);
    let first = connect(&kit, &address);
    let idle: Vec<_> = (0..1000).map(|_| connect(&kit, &address)).collect();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let mut stream = connect(&kit, &address);
            scope.spawn(move || {
                let text = lines(part * 20_000..(part + 1) * 20_000);
                stream.write_all(text.as_bytes()).unwrap();
            });
        }
    });
    let all = lines(0..80_000);
    kit.wait_until("all lines", || kit.read("out").len() == all.len());
    assert!(sorted(&kit.read("out")) == sorted(&all));
    assert!(running.peak_mib() < 48, "{} MiB", running.peak_mib());
    drop((first, idle));
    assert_eq!(running.stop(), Some(0));
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
    let listener = TcpListener::bind(&address).unwrap();
    let received = BufReader::new(listener.accept().unwrap().0).lines();
    let received: Vec<_> = received.map(Result::unwrap).collect();
    running.0.wait().unwrap();
    assert_eq!(received.len(), 50_000);
    assert!(received.iter().all(|line| line.starts_with("{\"_id\":\"in:")));
    assert!(received[49_999].ends_with("\"v\":49999}"), "{}", received[49_999]);
}

#[test]
fn a_receiver_that_hangs_up_is_called_again() {
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
