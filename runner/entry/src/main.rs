//! The program `entry DIR`: what the executors' tests start.

fn main() -> std::process::ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        return std::process::ExitCode::from(2);
    };
    std::process::ExitCode::from(entry::run(std::path::Path::new(&dir)))
}
