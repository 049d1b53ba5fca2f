using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Cluster.Worker.Collectives;

namespace Cluster.Worker.Tests.Collectives.Nccl;

/// <summary>CUDA and NCCL as <c>standin.cpp</c> plays them, built once for the process.</summary>
internal static unsafe class StandIn
{
    private static readonly Lazy<(string Path, nint Handle)> Library = new(Build);

    public static bool CanBeBuilt => File.Exists("/usr/bin/g++");

    public static CollectiveOptions Options(double timeoutSeconds = 30) => new()
    {
        CudaLibrary = Library.Value.Path,
        NcclLibrary = Library.Value.Path,
        OperationTimeout = TimeSpan.FromSeconds(timeoutSeconds),
        ConnectTimeout = TimeSpan.FromSeconds(30),
    };

    /// <summary>Makes this memory a GPU's, as far as CUDA is asked.</summary>
    public static void SetDevice(nint start, long bytes) =>
        ((delegate* unmanaged<nint, nuint, void>)Function("standinSetDevice"))(start, (nuint)bytes);

    /// <summary>A kernel on a device's compute stream that takes its time and then fills.</summary>
    public static void Fill(int device, nint values, int count, float value, int milliseconds) =>
        ((delegate* unmanaged<int, nint, nuint, float, int, void>)Function("standinFill"))(
            device, values, (nuint)count, value, milliseconds);

    /// <summary>From now on the device's last communicator has met this error.</summary>
    public static void Fail(int device, int code) => ((delegate* unmanaged<int, int, void>)Function("standinFail"))(device, code);

    /// <summary>NCCL's calls since it was last read.</summary>
    public static string[] TakeLog()
    {
        var text = new byte[1 << 20];
        fixed (byte* start = text)
            return Encoding.UTF8.GetString(text, 0, ((delegate* unmanaged<byte*, int, int>)Function("standinLog"))(start, text.Length))
                .Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static nint Function(string name) => NativeLibrary.GetExport(Library.Value.Handle, name);

    private static (string Path, nint Handle) Build()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "libstandin.so");
        using var compiler = Process.Start(
            "/usr/bin/g++", ["-std=c++17", "-O1", "-mf16c", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread", "-o", path, Source()]);
        compiler.WaitForExit();
        compiler.ExitCode.ShouldBe(0);
        return (path, NativeLibrary.Load(path));
    }

    private static string Source([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "standin.cpp");
}

/// <summary>Memory that the stand-in takes for a GPU's.</summary>
internal sealed unsafe class DeviceValues<T> : IDisposable
    where T : unmanaged
{
    private readonly int length;

    public DeviceValues(params T[] values)
    {
        length = values.Length;
        Address = (nint)NativeMemory.Alloc((nuint)(Math.Max(1, length) * sizeof(T)));
        values.CopyTo(Span);
        StandIn.SetDevice(Address, (long)length * sizeof(T));
    }

    public nint Address { get; }

    public Span<T> Span => new((void*)Address, length);

    public void Dispose()
    {
        StandIn.SetDevice(Address, 0);
        NativeMemory.Free((void*)Address);
    }
}
