//! A member inside a program: `cargo run -p embed --example member -- --data-dir /path/to/dir`.

use std::time::Duration;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let config = match config::parse(&args, &[]) {
        Ok((config::Action::Run(config), _)) => config,
        other => panic!("flags: {other:?}"),
    };
    let options = embed::options_from(&config).expect("options fit together");
    let running = embed::start(options).expect("the member starts");
    running.wait_ready().expect("the member becomes ready");
    running.serve_clients().expect("clients are served");
    println!("serving member {}", running.info().member);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("standard input can be read");
    running.shut_down(Duration::from_secs(7));
    println!("{:?}", running.wait_ended());
}
