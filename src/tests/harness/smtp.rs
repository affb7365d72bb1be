//! A mail server that answers as a test wants and keeps what it took (RFC 5321).

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server does with the next mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes them.
    Taking,
    /// Asks to come back later (4xx).
    Busy,
    /// Will never take them (5xx).
    Refusing,
    /// Takes every third; asks to come back later for the others.
    Moody,
    /// Takes them, and does not answer when this address is named.
    StallingFor(&'static str),
}

/// One server, until it is dropped.
pub(crate) struct SmtpServer {
    /// For `DASHTAM_SMTP__URL`.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    listening: tokio::task::JoinHandle<()>,
}

struct State {
    mood: Mood,
    asked: usize,
    taken: Vec<Taken>,
}

impl State {
    /// What it does with the mail at hand.
    fn mood_now(&mut self) -> Mood {
        self.asked += 1;
        if self.mood == Mood::Moody && self.asked.is_multiple_of(3) { Mood::Taking } else { self.mood }
    }
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// MAIL FROM.
    pub(crate) from: String,
    /// RCPT TO.
    pub(crate) to: Vec<String>,
    /// The message as it came, dots unstuffed.
    pub(crate) message: String,
}

impl SmtpServer {
    /// Listens on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { mood: Mood::Taking, asked: 0, taken: Vec::new() }));
        let shared = state.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, shared.clone()));
            }
        });
        Self { url, state, listening }
    }

    /// From now on.
    pub(crate) fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Every mail it took, in order.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state.lock().unwrap().taken.clone()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut from, mut to) = (String::new(), Vec::new());
    write.write_all(b"220 mail.example ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-mail.example\r\n250 8BITMIME\r\n",
            "MAIL" => {
                from = path(&line);
                "250 OK\r\n"
            }
            "RCPT" => {
                let mood = state.lock().unwrap().mood_now();
                match mood {
                    Mood::StallingFor(address) if path(&line) == address => return std::future::pending().await,
                    Mood::Taking | Mood::StallingFor(_) => {
                        to.push(path(&line));
                        "250 OK\r\n"
                    }
                    Mood::Busy | Mood::Moody => "451 come back later\r\n",
                    Mood::Refusing => "550 no such person\r\n",
                }
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    message += line.strip_prefix('.').unwrap_or(&line);
                    message += "\r\n";
                }
                state.lock().unwrap().taken.push(Taken { from: std::mem::take(&mut from), to: std::mem::take(&mut to), message });
                "250 taken\r\n"
            }
            "RSET" | "NOOP" => "250 OK\r\n",
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "502 what?\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
