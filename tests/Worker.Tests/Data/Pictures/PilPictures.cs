using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>Pictures made by PIL, with what PIL and torchvision read from them: made once for all tests.</summary>
public sealed class PilPictures : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pictures-");

    public PilPictures()
    {
        using var python = Process.Start(new ProcessStartInfo("/usr/bin/python3", [Script(), _folder.FullName]) { RedirectStandardError = true })!;
        var errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        if (python.ExitCode != 0)
            throw new InvalidOperationException($"pictures.py needs Debian's python3-pil and python3-torchvision: {errors}");
    }

    public string Folder => _folder.FullName;

    public byte[] File(string name) => System.IO.File.ReadAllBytes(Path.Combine(Folder, name));

    public void Dispose() => _folder.Delete(recursive: true);

    private static string Script([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "pictures.py");
}
