using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Cluster.Worker.Tests.Data.Pictures;

/// <summary>Pictures made by PIL, with what PIL and torchvision read from them: made once for all tests.</summary>
public sealed class PilPictures : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pictures-");

    public PilPictures()
    {
        Run([Script(), Folder]);
    }

    public string Folder => _folder.FullName;

    public byte[] File(string name) => System.IO.File.ReadAllBytes(Path.Combine(Folder, name));

    /// <summary>A photograph as a good telephone takes it: 12,000 × 9,000 pixels, 4:2:0.</summary>
    public byte[] Photograph(bool progressive)
    {
        const string Name = "photograph.jpg";
        var options = progressive ? ", progressive=True" : "";
        Run(["-c", "from PIL import Image; Image.radial_gradient('L').resize((12000, "
            + $"9000)).convert('RGB').save('{Path.Combine(Folder, Name)}'{options})"]);
        return File(Name);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private static void Run(string[] arguments)
    {
        using var python = Process.Start(new ProcessStartInfo("/usr/bin/python3", arguments) { RedirectStandardError = true })!;
        var errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        if (python.ExitCode != 0)
            throw new InvalidOperationException($"pictures.py needs Debian's python3-pil and python3-torchvision: {errors}");
    }

    private static string Script([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "pictures.py");
}
