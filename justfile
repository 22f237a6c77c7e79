# People run what CI runs. `just` lists the recipes.

# Everything that CI checks.
check:
    .ci/run

fmt:
    cargo fmt --all

test:
    cargo test --workspace

# The whole story in one command.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# More seeds than the test suite runs.
soak SEEDS="2000":
    cargo run --release -- sim soak --seeds {{SEEDS}}

bench:
    cargo bench --workspace
