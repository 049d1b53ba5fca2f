using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Cluster.TorchSharp.Tests;

/// <summary>
/// Some machines choose OpenBLAS kernels by environment variables, to the benefit of nobody here. They must go before libopenblas is
/// loaded, from the C environment: .NET's own copy is not what a library reads.
/// </summary>
internal static partial class NativeEnvironment
{
    [ModuleInitializer]
    internal static void Clear()
    {
        _ = unsetenv("OPENBLAS_CORETYPE");
        _ = unsetenv("OPENBLAS_L2_SIZE");
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unsetenv(string name);
}
