//! The `etcd` program.

/// jemalloc: about four fifths of the CPU of the system's allocator under load.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let env: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let build = config::Build {
        git_sha: option_env!("OXETCD_GIT_SHA").unwrap_or("unknown"),
        compiler: option_env!("OXETCD_RUSTC").unwrap_or("rustc"),
    };
    std::process::exit(embed::run_program(&args, &env, build));
}
