//! The image `hello` that comes with Knarr is made here, from nothing but this file: one index with a Wasm
//! module and a native program for each architecture, each printing one text. The checked-in archive is
//! what this makes.
//!
//! `KNARR_WRITE_BUILTIN=1 cargo test --test e2e builtin` writes it anew.

use knarr_core::image::{Platform, Reference};
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_packager::archive::{self, ImportOptions, SaveOptions};
use knarr_packager::{index, wasm};

const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/builtin/hello.tar");

#[test]
fn the_archive_is_made_of_its_sources() {
    let made = assemble();
    if std::env::var_os("KNARR_WRITE_BUILTIN").is_some() {
        std::fs::write(ARCHIVE, &made).unwrap();
    }
    let kept = std::fs::read(ARCHIVE).unwrap();
    assert!(
        kept == made,
        "src/builtin/hello.tar does not match tests/builtin: see its documentation"
    );
}

fn assemble() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Root::at(directory.path())).unwrap();
    let module = wat::parse_str(module(&text("wasi/wasm", "linux/amd64"))).unwrap();
    let image = wasm::ModuleImage {
        file_name: "hello.wasm".into(),
        created_by: "knarr: the image that comes with it".into(),
        ..Default::default()
    };
    let mut manifests = vec![wasm::manifest_of_module(&store, &module, &image).unwrap()];
    for (platform, program) in
        [("linux/amd64", amd64 as fn(&[u8]) -> Vec<u8>), ("linux/arm64", arm64)]
    {
        let program = program(text(platform, "wasi/wasm").as_bytes());
        let options = ImportOptions {
            changes: vec![r#"ENTRYPOINT ["/hello"]"#.into()],
            platform: Some(platform.parse::<Platform>().unwrap()),
            message: Some("the image that comes with knarr".into()),
        };
        let image = archive::import(&store, &mut &tar(&program)[..], None, &options).unwrap();
        manifests.push(index::descriptor(&store, image.id()).unwrap());
    }
    let reference: Reference = "hello".parse().unwrap();
    store.tag(&reference, index::combine(&store, &manifests).unwrap()).unwrap();
    let mut archive = Vec::new();
    let image = store.find("hello").unwrap();
    archive::save(&store, &[image], &mut archive, &SaveOptions::default()).unwrap();
    archive
}

fn text(this: &str, other: &str) -> String {
    let kind = match this {
        "wasi/wasm" => "A WebAssembly module: the same bytes run on every machine, without root",
        _ => "A Linux program in namespaces of its own",
    };
    format!(
        "\nHello from Knarr!\n\n\
         You see the {this} variant of the image hello.\n\
         {kind}.\n\n\
         Try next:\n\
         \x20 knarr run --rm --explain hello                  which variant, and why\n\
         \x20 knarr run --rm --platform {other:<20}  the other one, under the same name\n\
         \x20 knarr images                                    what is in your store\n\
         \x20 knarr run --rm -it debian bash                  any image from any registry\n\n",
        other = format!("{other} hello"),
    )
}

/// Writes the text to file descriptor 1 (WASI 0.1).
fn module(text: &str) -> String {
    // an iovec at 0, the count of bytes written at 8, the text at 16
    let data: String = text.bytes().map(|b| format!("\\{b:02x}")).collect();
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 16) "{data}")
          (func (export "_start")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const {length}))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        length = text.len()
    )
}

/// write(1, text, length); exit_group(0)
fn amd64(text: &[u8]) -> Vec<u8> {
    let mut code = vec![0xbf, 1, 0, 0, 0]; // mov edi, 1
    code.extend([0x48, 0x8d, 0x35]); // lea rsi, [rip + …]
    let rest = 5 + 5 + 2 + 2 + 5 + 2;
    code.extend((rest as u32).to_le_bytes());
    code.push(0xba); // mov edx, length
    code.extend((text.len() as u32).to_le_bytes());
    code.extend([0xb8, 1, 0, 0, 0, 0x0f, 0x05]); // mov eax, SYS_write; syscall
    code.extend([0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]); // xor edi, edi; SYS_exit_group
    code.extend(text);
    elf(62, &code)
}

/// write(1, text, length); exit_group(0)
fn arm64(text: &[u8]) -> Vec<u8> {
    let movz = |register: u32, value: u32| 0xd280_0000 | value << 5 | register;
    let instructions = [
        movz(0, 1),
        // adr x1, the text: seven instructions further on
        0x1000_0000 | (7 * 4 / 4) << 5 | 1,
        movz(2, text.len() as u32),
        movz(8, 64),
        0xd400_0001, // svc 0
        movz(0, 0),
        movz(8, 94),
        0xd400_0001,
    ];
    let mut code: Vec<u8> = instructions.iter().flat_map(|i| i.to_le_bytes()).collect();
    code.extend(text);
    elf(183, &code)
}

/// A static executable of one segment.
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend(2u16.to_le_bytes()); // ET_EXEC
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend((BASE + HEADERS).to_le_bytes()); // entry
    file.extend(64u64.to_le_bytes()); // program headers
    file.extend(0u64.to_le_bytes());
    file.extend(0u32.to_le_bytes());
    for value in [64u16, 56, 1, 0, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes()); // PT_LOAD
    file.extend(5u32.to_le_bytes()); // readable, executable
    for value in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(value.to_le_bytes());
    }
    file.extend(code);
    file
}

fn tar(program: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    tar.append_data(&mut header, "hello", program).unwrap();
    tar.into_inner().unwrap()
}
