//! The program `buildit`. Everything it does is in the library, where tests reach it.

fn main() -> std::process::ExitCode {
    bot::cli::main()
}
