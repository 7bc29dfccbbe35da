//! An HTTP server that checks what it gets, remembers it, and answers as a test tells it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::read::GzDecoder;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// By names in lower case.
    headers: Vec<(String, String)>,
    /// Unpacked.
    pub(crate) body: Vec<u8>,
}

pub(crate) enum Answer {
    /// A status, headers that each end with a line end, and a body.
    Says(u16, String, String),
    /// Closes the connection.
    HangsUp,
    /// Takes the lines, and breaks off in the middle of saying so.
    CutsOff,
    /// Says nothing, until the other side hangs up.
    Stalls,
}

/// The requests so far, and the lines that were taken.
#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    took: Vec<String>,
}

type Script = Mutex<Box<dyn FnMut(&Request) -> Answer + Send>>;

/// Runs until the test ends.
pub(crate) struct Server {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

impl Answer {
    pub(crate) fn says(status: u16, headers: &str) -> Self {
        Self::Says(status, headers.to_owned(), String::new())
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn id(&self) -> &str {
        self.header("idempotency-key").unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The lines in it, or the items of its array.
    fn lines(&self) -> Vec<String> {
        if self.body.first() != Some(&b'[') {
            return self.text().lines().map(str::to_owned).collect();
        }
        let items: Vec<&serde_json::value::RawValue> = serde_json::from_slice(&self.body).unwrap();
        items.into_iter().map(|item| item.get().to_owned()).collect()
    }

    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        let mut next = || {
            line.clear();
            stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
            Some(line.trim_end().to_owned())
        };
        let first = next()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let line = next()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut request = Self { method, path, headers, body: Vec::new() };
        assert_eq!(request.header("transfer-encoding"), None);
        let length = request.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        if request.header("content-encoding") == Some("gzip") {
            GzDecoder::new(&body[..]).read_to_end(&mut request.body).unwrap();
        } else {
            request.body = body;
        }
        Some(request)
    }
}

impl Server {
    pub(crate) fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        Self::start_at("127.0.0.1:0", script)
    }

    pub(crate) fn start_at(
        address: &str,
        script: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, script) =
            (Arc::<Mutex<Seen>>::default(), Arc::<Script>::new(Mutex::new(Box::new(script))));
        let ours = seen.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, script) = (ours.clone(), script.clone());
                thread::spawn(move || serve(stream, &seen, &script));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// The lines that were taken, in their order.
    pub(crate) fn took(&self) -> Vec<String> {
        self.seen.lock().unwrap().took.clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Seen>, script: &Script) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream) {
        let answer = script.lock().unwrap()(&request);
        let mut seen = seen.lock().unwrap();
        seen.requests.push(request.clone());
        if matches!(answer, Answer::Says(200, ..)) {
            seen.took.extend(request.lines());
        }
        drop(seen);
        let to = stream.get_mut();
        let _ = match answer {
            // the other side may be gone
            Answer::Says(status, headers, body) => write!(
                to,
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{headers}\r\n{body}",
                body.len()
            ),
            Answer::HangsUp => return,
            Answer::CutsOff => {
                let _ = write!(to, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
            Answer::Stalls => {
                let _ = stream.read(&mut [0]);
                return;
            }
        };
    }
}
