//! Images made on the spot: busybox of this machine, and the Wasm guests of `tests/guests`.

use super::Knarr;
use knarr_core::image::{Platform, Reference};
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_packager::archive::{self, ImportOptions};
use knarr_packager::index;
use std::path::PathBuf;

/// The programs that busybox is known by in the test's image.
const APPLETS: &[&str] = &[
    "sh", "ash", "cat", "chmod", "cp", "cut", "date", "dd", "df", "echo", "env", "expr", "false",
    "find", "grep", "head", "hostname", "id", "ifconfig", "ip", "kill", "ln", "ls", "mkdir",
    "mkfifo", "mknod", "mount", "mv", "nc", "ps", "pwd", "rm", "sed", "seq", "sleep", "sort",
    "stat", "stty", "tail", "tee", "test", "touch", "tr", "true", "tty", "ulimit", "umount",
    "unshare", "uname", "wc", "wget", "yes",
];

/// A small root file system with busybox.
pub fn busybox() -> Vec<u8> {
    let path = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|p| PathBuf::from(p).exists());
    let path = path.expect("busybox is missing: apt-get install busybox-static");
    let program = std::fs::read(path).unwrap();
    assert!(is_static(&program), "busybox is not static: apt-get install busybox-static");
    let mut tar = Tar::new();
    for directory in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "home"] {
        tar.directory(directory, if directory == "tmp" { 0o1777 } else { 0o755 });
    }
    tar.file("bin/busybox", 0o755, &program);
    for applet in APPLETS {
        tar.link(&format!("bin/{applet}"), "busybox");
    }
    tar.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nana:x:1000:1000::/home:/bin/sh\n",
    );
    tar.file("etc/group", 0o644, b"root:x:0:\nana:x:1000:\ncrew:x:2000:ana\n");
    tar.finish()
}

/// Whether no segment of an ELF file (64 bits, little endian) names an interpreter.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let short = |at: usize| u16::from_le_bytes(program[at..at + 2].try_into().unwrap()) as usize;
    let headers = u64::from_le_bytes(program[32..40].try_into().unwrap()) as usize;
    let (size, count) = (short(54), short(56));
    (0..count).all(|i| {
        let at = headers + i * size;
        u32::from_le_bytes(program[at..at + 4].try_into().unwrap()) != PT_INTERP
    })
}

/// A Wasm program of `tests/guests/built`.
pub fn guest(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guests/built").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A tar archive under construction.
pub struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
    }

    /// A file of somebody else than root.
    pub fn file_of(&mut self, (uid, gid): (u64, u64), path: &str, mode: u32, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_size(content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
    }

    pub fn directory(&mut self, path: &str, mode: u32) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        self.0.append_data(&mut header, path, &[][..]).unwrap();
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
    }

    pub fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

impl Knarr {
    /// Makes the image `busybox`, by `knarr import`.
    #[track_caller]
    pub fn with_busybox(self) -> Self {
        self.import("busybox", "linux/amd64", &[r#"CMD ["sh"]"#], &busybox());
        self
    }

    /// Makes the image `kit`: the Wasm program with many commands.
    #[track_caller]
    pub fn with_kit(self) -> Self {
        let mut tar = Tar::new();
        tar.file("kit.wasm", 0o755, &guest("kit.p1.wasm"));
        tar.directory("tmp", 0o1777);
        self.import("kit", "wasi/wasm", &[r#"ENTRYPOINT ["/kit.wasm"]"#], &tar.finish());
        self
    }

    /// `knarr import`
    #[track_caller]
    pub fn import(&self, name: &str, platform: &str, changes: &[&str], tarball: &[u8]) -> String {
        let platform = match platform {
            "linux/amd64" => format!("linux/{}", Platform::host().architecture),
            other => other.to_owned(),
        };
        let mut arguments = vec!["import", "--platform", &platform];
        for change in changes {
            arguments.extend(["--change", change]);
        }
        arguments.extend(["-", name]);
        self.run_with_input(&arguments, tarball).ok()
    }

    /// Makes one image of the variants of others, in this order.
    pub fn combine(&self, name: &str, images: &[&str]) {
        let store = Store::open(&Root::at(self.root())).unwrap();
        let _hold = store.hold().unwrap();
        let manifests: Vec<_> = images
            .iter()
            .map(|image| index::descriptor(&store, store.find(image).unwrap().id()).unwrap())
            .collect();
        let reference: Reference = name.parse().unwrap();
        store.tag(&reference, index::combine(&store, &manifests).unwrap()).unwrap();
    }

    /// An image of another machine's platform.
    pub fn import_foreign(&self, name: &str, platform: &str) {
        let store = Store::open(&Root::at(self.root())).unwrap();
        let options = ImportOptions {
            changes: vec![r#"CMD ["/x"]"#.into()],
            platform: Some(platform.parse().unwrap()),
            message: None,
        };
        let reference: Reference = name.parse().unwrap();
        let mut tar = Tar::new();
        tar.file("x", 0o755, b"x");
        archive::import(&store, &mut &tar.finish()[..], Some(&reference), &options).unwrap();
    }
}
