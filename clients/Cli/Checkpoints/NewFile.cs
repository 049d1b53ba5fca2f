namespace Cluster.Cli.Checkpoints;

/// <summary>A file that is there whole or not at all: written beside its place and moved there at the end.</summary>
internal static class NewFile
{
    /// <exception cref="CliException">The place is taken, or cannot be written to.</exception>
    public static async Task WriteAsync(string path, Func<FileStream, Task> write)
    {
        if (File.Exists(path))
            throw new CliException(ExitCode.Usage, $"--output is {path}, which exists; remove it or name another");
        var part = $"{path}.{Guid.NewGuid():N}.part";
        try
        {
            await using (var file = new FileStream(part, FileMode.CreateNew, FileAccess.ReadWrite))
                await write(file);
            File.Move(part, path);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new CliException(ExitCode.Usage, $"--output is {path} but cannot be written ({fault.Message}); name another place");
        }
        finally
        {
            File.Delete(part);
        }
    }
}
