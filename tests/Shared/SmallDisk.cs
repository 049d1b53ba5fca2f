using System.Diagnostics;

namespace Cluster.Tests.Shared;

/// <summary>A file system in memory that a test can fill: writes then fail as they do on a full disk.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    // As errno.h counts them on Linux, which .NET passes on.
    private const int NoSpace = 28;

    private readonly string _filler;

    private SmallDisk(string path) => (Path, _filler) = (path, System.IO.Path.Combine(path, "filler"));

    public string Path { get; }

    /// <summary>Skips the test where file systems cannot be mounted.</summary>
    public static async Task<SmallDisk> MountAsync(int megabytes, CancellationToken cancellationToken)
    {
        var disk = new SmallDisk(Directory.CreateTempSubdirectory("small-disk-").FullName);
        string[] mount = ["mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "small-disk", disk.Path];
        var (exitCode, errors) = await RunAsync(mount, cancellationToken);
        if (exitCode != 0)
        {
            Directory.Delete(disk.Path);
            Assert.Skip($"no file system can be mounted here, as in a container without CAP_SYS_ADMIN: {errors}");
        }

        return disk;
    }

    /// <summary>Leaves room for nothing more.</summary>
    public void Fill()
    {
        using var filler = new FileStream(_filler, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0);
        foreach (var block in (int[])[1 << 20, 1 << 12])
        {
            try
            {
                while (true)
                    filler.Write(new byte[block]);
            }
            catch (IOException e) when ((e.HResult & 0xffff) == NoSpace)
            {
                // That is what it is for.
            }
        }
    }

    /// <summary>Takes away what <see cref="Fill"/> wrote.</summary>
    public void MakeRoom() => File.Delete(_filler);

    public async ValueTask DisposeAsync()
    {
        // Lazily: somebody may still have a file there open.
        var (exitCode, errors) = await RunAsync(["umount", "--lazy", Path], CancellationToken.None);
        exitCode.ShouldBe(0, errors);
        Directory.Delete(Path);
    }

    private static async Task<(int ExitCode, string Errors)> RunAsync(string[] command, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardError = true })!;
        var errors = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return (process.ExitCode, errors.Trim());
    }
}
