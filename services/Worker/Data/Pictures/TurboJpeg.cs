using System.Runtime.InteropServices;

namespace Cluster.Worker.Data.Pictures;

/// <summary>The C API of TurboJPEG 2 and later (Debian's libturbojpeg0): https://libjpeg-turbo.org/Documentation/Documentation.</summary>
internal static unsafe partial class TurboJpeg
{
    public const int PixelsRgb = 0, PixelsGrey = 6, PixelsCmyk = 11;
    public const int ColoursCmyk = 3, ColoursYcck = 4;

    /// <summary>Refuses a progressive file of more than 500 scans, which would take minutes.</summary>
    public const int LimitScans = 32768;

    /// <summary>Ended with a picture, some of which may be guessed.</summary>
    public const int ErrorIsWarning = 0;

    private const string Library = "libturbojpeg.so.0";

    /// <summary>What to do where the library is missing; null where it is there.</summary>
    public static string? Missing { get; } = NativeLibrary.TryLoad(Library, out _)
        ? null
        : $"JPEG files are decoded by {Library}, which this node lacks; install Debian's libturbojpeg0 on it";

    [LibraryImport(Library, EntryPoint = "tjInitDecompress")]
    public static partial nint InitDecompress();

    [LibraryImport(Library, EntryPoint = "tjDestroy")]
    public static partial int Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "tjDecompressHeader3")]
    public static partial int DecompressHeader(
        nint handle, byte* jpeg, nuint jpegBytes, out int width, out int height, out int subsampling, out int colours);

    [LibraryImport(Library, EntryPoint = "tjDecompress2")]
    public static partial int Decompress(
        nint handle, byte* jpeg, nuint jpegBytes, byte* pixels, int width, int pitch, int height, int pixelFormat, int flags);

    [LibraryImport(Library, EntryPoint = "tjGetErrorCode")]
    public static partial int ErrorCode(nint handle);

    public static string Error(nint handle) => Marshal.PtrToStringUTF8(ErrorText(handle)) ?? "unknown fault";

    [LibraryImport(Library, EntryPoint = "tjGetErrorStr2")]
    private static partial nint ErrorText(nint handle);
}
