//! What cannot be served is refused: one line that says which and why, status 1, nothing touched.

use interop::{Outcome, Place, Programs, contents, ours, skip};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The one line with which the program ended, as JSON.
fn fatal_line(outcome: &Outcome) -> serde_json::Value {
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    let lines =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let mut fatal: Vec<serde_json::Value> =
        lines.filter(|line: &serde_json::Value| line["level"] == "fatal").collect();
    assert_eq!(fatal.len(), 1, "one line says it:\n{text}");
    fatal.remove(0)
}

/// Starts ours with `command`; it must end with status 1 and a line that contains each of `reasons`.
#[track_caller]
fn check_refused(programs: &Programs, mut command: Command, reasons: &[&str]) {
    let outcome = programs.run_command(&mut command);
    assert_eq!(outcome.code(), 1, "{outcome:?}");
    let error = fatal_line(&outcome)["error"].as_str().expect("the line has an error").to_owned();
    for reason in reasons {
        assert!(error.contains(reason), "no {reason:?} in {error:?}");
    }
}

/// As [`check_refused`] for the directory of `place`, of which nothing may be touched.
#[track_caller]
fn check_untouched(programs: &Programs, place: &Place, reason: &str) {
    let before = contents(&place.data());
    let data = place.data();
    check_refused(
        programs,
        place.command(&ours("etcd"), &[]),
        &[reason, data.to_str().expect("the path is text")],
    );
    assert!(contents(&place.data()) == before, "{reason}: something was touched");
}

/// A directory that Go etcd has left after its etcdctl ran `commands`, the last of which may fail: the member may have
/// lost its quorum to it.
fn go_directory(programs: &Programs, name: &str, commands: &[&[&str]]) -> Place {
    let place = Place::new(name);
    let server = place.start(&programs.path("etcd-3.7"), &[]);
    let endpoint = format!("--endpoints={}", place.endpoint());
    for (number, command) in commands.iter().enumerate() {
        let outcome = programs.run("etcdctl-3.7", &[&[endpoint.as_str()], *command].concat());
        assert!(outcome.status.success() || number + 1 == commands.len(), "{command:?}: {outcome:?}");
    }
    server.kill();
    place
}

#[test]
fn directories_that_cannot_be_served_yet_are_refused() {
    let Some(programs) = Programs::find(&["etcd", "etcd-3.7", "etcdctl-3.7"]) else { return };
    let auth: &[&[&str]] = &[
        &["role", "add", "root"],
        &["user", "add", "root:root"],
        &["user", "grant-role", "root", "root"],
        &["auth", "enable"],
    ];
    let cases: &[(&str, &[&[&str]], &str)] = &[
        ("auth", auth, "auth"),
        ("voters", &[&["member", "add", "m2", "--peer-urls=http://127.0.0.1:1"]], "one voter"),
        ("learner", &[&["member", "add", "m2", "--peer-urls=http://127.0.0.1:1", "--learner"]], "one voter"),
        ("downgrade", &[&["downgrade", "enable", "3.6"]], "downgrade"),
    ];
    for (name, commands, reason) in cases {
        let place = go_directory(&programs, name, commands);
        check_untouched(&programs, &place, reason);
        // Once more with everything in the backend, where the log had it before.
        if *name != "voters" {
            place.start(&programs.path("etcd-3.7"), &["--snapshot-count=1"]).stop();
            check_untouched(&programs, &place, reason);
        }
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let Some(programs) = Programs::find(&["etcd", "etcd-3.7"]) else { return };
    let place = Place::new("in-use");
    let elsewhere = Place::new("in-use-elsewhere");
    for program in [programs.path("etcd-3.7"), ours("etcd")] {
        let server = place.start(&program, &[]);
        let command = elsewhere.command_on(&ours("etcd"), &place.data(), &[]);
        check_refused(&programs, command, &["in use by another process"]);
        server.stop();
    }
}

#[test]
fn a_port_in_use_is_refused_before_a_directory_is_made() {
    let Some(programs) = Programs::find(&["etcd"]) else { return };
    for is_client in [true, false] {
        let place = Place::new("port");
        let address = if is_client { place.endpoint() } else { place.peer() };
        let _taken = TcpListener::bind(&address).expect("the port is free until now");
        let reason = format!("listen tcp {address}: bind: address already in use");
        check_refused(&programs, place.command(&ours("etcd"), &[]), &[&reason]);
        assert!(!place.data().exists(), "a data directory was made");
    }
}

#[test]
fn a_directory_without_permission_is_refused() {
    let Some(programs) = Programs::find(&["etcd"]) else { return };
    let place = Place::new("permission");
    let (data, mode) =
        (place.path().join("locked/data"), std::os::unix::fs::PermissionsExt::from_mode(0o500));
    std::fs::create_dir(place.path().join("locked")).expect("a directory can be made");
    std::fs::set_permissions(place.path().join("locked"), mode).expect("its mode can be set");
    let program = place.path().join("etcd");
    std::fs::copy(ours("etcd"), &program).expect("the program can be copied");
    let mut command = place.command_on(&program, &data, &[]);
    command.current_dir("/");
    if rustix::process::getuid().is_root() {
        // For this user no mode is a barrier: be somebody else, where the way to the files is open for that.
        const NOBODY: u32 = 65534;
        let mut probe = Command::new(&program);
        probe.arg("--version").current_dir("/").uid(NOBODY).gid(NOBODY);
        if !probe.output().is_ok_and(|output| output.status.success()) {
            return skip("another user has no way to the files of this test");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    check_refused(&programs, command, &["locked", "ermission denied"]);
}

/// On a file system of its own, which only root can mount.
#[test]
fn a_full_disk_is_refused_and_a_disk_that_fills_up_stops_the_member_without_loss() {
    let Some(programs) = Programs::find(&["etcd", "probe", "etcdctl-3.7"]) else { return };
    let place = Place::new("full");
    let mount = place.path().join("disk");
    std::fs::create_dir(&mount).expect("a directory can be made");
    let mounted = |size: &str| {
        let arguments = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
        Command::new("mount").args(arguments).arg(&mount).output().is_ok_and(|output| output.status.success())
    };
    if !mounted("1m") {
        return skip("no file system can be mounted here");
    }
    let unmount = Unmount(&mount);
    let data = mount.join("data");
    check_refused(&programs, place.command_on(&ours("etcd"), &data, &[]), &["no space left on device"]);
    drop(unmount);

    assert!(mounted("80m"));
    let _unmount = Unmount(&mount);
    let mut server = interop::Server::start(place.command_on(&ours("etcd"), &data, &[]), place.path());
    let endpoint = format!("--endpoints={}", place.endpoint());
    let value = "v".repeat(1 << 20);
    let mut acknowledged = 0;
    while programs
        .run_with_input("etcdctl-3.7", &[&endpoint, "put", &format!("k{acknowledged}")], &value)
        .code()
        == 0
    {
        acknowledged += 1;
        assert!(acknowledged < 200, "the disk never fills up");
    }
    assert!(acknowledged > 0);
    let status = server.wait();
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(server.log().contains("cannot go on"), "{}", server.log());
    // More room: everything acknowledged is there.
    let remount = ["-o", "remount,size=400m"];
    assert!(Command::new("mount").args(remount).arg(&mount).status().is_ok_and(|status| status.success()));
    let server = interop::Server::start(place.command_on(&ours("etcd"), &data, &[]), place.path());
    let outcome = programs.run("etcdctl-3.7", &[&endpoint, "get", "k", "--prefix", "--keys-only"]);
    let keys = outcome.expect_success();
    for number in 0..acknowledged {
        assert!(keys.lines().any(|line| line == format!("k{number}")), "k{number} is lost");
    }
    server.stop();
}

/// Takes a mount away again, also after a failure.
struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_damaged_file_is_refused_with_its_name() {
    let Some(programs) = Programs::find(&["etcd", "probe"]) else { return };
    let place = Place::new("damage");
    let server = place.start(&ours("etcd"), &[]);
    programs.probe(&["fill", "--endpoint", &place.endpoint(), "--seed", "9"]);
    server.stop();
    let log = "member/wal/0000000000000000-0000000000000000.wal";
    // The middle of a record; both metas; a page that the newest root reaches.
    for (file, places) in [(log, &[1500..1504, 1504..1510][..]), ("member/snap/db", &[24..28, 4120..4124])] {
        let path = place.data().join(file);
        let whole = std::fs::read(&path).expect("the file can be read");
        let mut damaged = whole.clone();
        for place in places {
            damaged[place.clone()].iter_mut().for_each(|byte| *byte ^= 0xff);
        }
        std::fs::write(&path, damaged).expect("the file can be written");
        check_untouched(&programs, &place, file.rsplit('/').next().unwrap_or(file));
        std::fs::write(&path, whole).expect("the file can be written");
    }
    place.start(&ours("etcd"), &[]).stop();
}
