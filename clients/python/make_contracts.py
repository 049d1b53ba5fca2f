"""Makes src/cluster_client/contracts.binpb from the scheduler's protos: by protoc, or by grpcio-tools where there is none."""
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROTOS = HERE.parents[1] / "shared/Contracts/Protos"
CONTRACTS = HERE / "src/cluster_client/contracts.binpb"


def make():
    protoc = shutil.which("protoc")
    command = [protoc] if protoc else [sys.executable, "-m", "grpc_tools.protoc"]
    protos = sorted(str(proto) for proto in (PROTOS / "cluster").rglob("*.proto"))
    subprocess.run(
        [*command, f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={CONTRACTS}", *protos], check=True)


if __name__ == "__main__":
    make()
