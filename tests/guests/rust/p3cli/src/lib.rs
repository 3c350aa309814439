//! p3cli: a `wasi:cli/command@0.3` component. `cat FILE` prints a file of the first directory, `exit` fails,
//! anything else is shown.

use wasip3::cli::{environment, stdout};
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

wasip3::cli::command::export!(Program);

struct Program;

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
        match words[..] {
            ["exit"] => Err(()),
            ["cat", path] => cat(path).await,
            _ => print(format!("hello from WASI 0.3, args={words:?}\n").into_bytes()).await,
        }
    }
}

async fn print(bytes: Vec<u8>) -> Result<(), ()> {
    let (mut writer, reader) = wasip3::wit_stream::new();
    let (written, rest) = futures::join!(async { stdout::write_via_stream(reader).await }, async {
        let rest = writer.write_all(bytes).await;
        drop(writer);
        rest
    });
    if written.is_ok() && rest.is_empty() { Ok(()) } else { Err(()) }
}

async fn cat(path: &str) -> Result<(), ()> {
    let mut directories = preopens::get_directories();
    let (root, _) = directories.swap_remove(0);
    let path = path.trim_start_matches('/').to_owned();
    let opened =
        root.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ);
    let file = match opened.await {
        Ok(file) => file,
        Err(error) => return print(format!("error: {error:?}\n").into_bytes()).await,
    };
    let (reader, _result) = file.read_via_stream(0);
    print(reader.collect().await).await
}
