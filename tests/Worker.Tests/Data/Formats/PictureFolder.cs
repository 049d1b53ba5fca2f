using System.Diagnostics;
using System.Formats.Tar;
using Cluster.Worker.Data.Pictures;
using Cluster.Worker.Tests.Data.Pictures;

namespace Cluster.Worker.Tests.Data.Formats;

/// <summary>A data root with a folder of pictures in it, plain PNG files of one colour each that a test writes as it needs them.</summary>
internal sealed class PictureFolder : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("pictures-");

    public string Root => _root.FullName;

    public const string Name = "my-photos";

    public void Dispose() => Shell(Root, "chmod -R u+rwX . && rm -rf -- \"$PWD\""); // .NET cannot delete what has no name for it

    public string Path(string path) => System.IO.Path.Combine(Root, Name, path);

    public void Write(string path, byte[] content)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path(path))!);
        File.WriteAllBytes(Path(path), content);
    }

    /// <summary>For what .NET cannot make: names that are no text, FIFOs.</summary>
    public void Run(string folder, string command) => Shell(Path(folder), command);

    /// <summary>A picture in each of some classes of a part: class c has the grey level 10 · c + i in its i-th.</summary>
    public void WriteClasses(string part, int classes, int pictures)
    {
        for (var c = 0; c < classes; c++)
        {
            for (var i = 0; i < pictures; i++)
                Write($"{part}/class-{c}/{i}.png", Png.Of(new PictureSize(12, 16), (byte)((10 * c) + i)));
        }
    }

    public void WriteTar(string path, params (string Name, byte[] Content)[] entries)
    {
        Directory.CreateDirectory(System.IO.Path.Combine(Root, Name));
        using var tar = new TarWriter(File.Create(Path(path)));
        foreach (var (name, content) in entries)
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
    }

    private static void Shell(string folder, string command)
    {
        using var shell = Process.Start(new ProcessStartInfo("/bin/bash", ["-ec", command]) { WorkingDirectory = folder })!;
        shell.WaitForExit();
        shell.ExitCode.ShouldBe(0, command);
    }
}
