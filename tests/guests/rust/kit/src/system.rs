//! Arguments, environment, streams, clocks, randomness, memory, exit codes, connections.

use crate::{Done, Words};
use std::hash::BuildHasher;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub fn run(command: &str, words: &Words, program: Option<&str>) -> Option<Done> {
    match command {
        "" | "hello" => println!("hello from {}", std::env::consts::ARCH),
        "args" => println!("{program:?} {:?}", words.all()),
        "env" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "echo" => println!("{}", words.all().join(" ")),
        "pwd" => return Some(pwd()),
        "stdin" => return Some(stdin()),
        "lines" => return Some(lines()),
        "log" => log(words.number(0, 10), words.number(1, 100)),
        "tty" => tty(),
        "sleep" => std::thread::sleep(Duration::from_millis(words.number(0, 1000))),
        "clocks" => clocks(),
        "random" => println!("{:016x}", std::hash::RandomState::new().hash_one(1)),
        "alloc" => alloc(words.number(0, 16), words.number(1, 0)),
        "cpu" => cpu(words.number(0, 100_000_000)),
        "spin" => spin(),
        "exit" => std::process::exit(words.number(0, 0) as i32),
        "net" => return Some(net(words.text(0), words.number(1, 80) as u16)),
        _ => return None,
    }
    Some(Ok(()))
}

fn pwd() -> Done {
    println!("{}", std::env::current_dir()?.display());
    Ok(())
}

fn stdin() -> Done {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    println!("{} bytes", bytes.len());
    Ok(())
}

/// Answers each line at once, as an interactive program does.
fn lines() -> Done {
    print!("> ");
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        print!("{}\n> ", line?.to_uppercase());
        io::stdout().flush()?;
    }
    println!("bye");
    Ok(())
}

fn log(count: u64, milliseconds: u64) {
    for i in 0..count {
        println!("out {i}");
        eprintln!("err {i}");
        std::thread::sleep(Duration::from_millis(milliseconds));
    }
}

fn tty() {
    println!(
        "stdin={} stdout={} stderr={}",
        io::stdin().is_terminal(),
        io::stdout().is_terminal(),
        io::stderr().is_terminal()
    );
}

fn clocks() {
    let start = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    std::thread::sleep(Duration::from_millis(5));
    println!("{now} {}", start.elapsed() >= Duration::from_millis(5));
}

fn alloc(mebibytes: u64, milliseconds: u64) {
    let held: Vec<Vec<u8>> = (0..mebibytes).map(|i| vec![i as u8; 1 << 20]).collect();
    println!("holding {} MiB", held.len());
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn cpu(steps: u64) {
    let step = |x: u64, i| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i);
    println!("{}", (0..steps).fold(1, |x, i| std::hint::black_box(step(x, i))));
}

fn spin() {
    println!("spinning");
    loop {
        std::hint::black_box(0);
    }
}

fn net(host: &str, port: u16) -> Done {
    let stream = std::net::TcpStream::connect((host, port))?;
    println!("connected to {}", stream.peer_addr()?);
    Ok(())
}
