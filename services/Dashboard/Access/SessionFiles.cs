using System.Security.Cryptography;
using System.Text;
using Cluster.Dashboard.Hosting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Options;

namespace Cluster.Dashboard.Access;

/// <summary>
/// Sessions on the server, a sealed file each; the browser has a random key to its own and nothing else. Whoever signs out ends the
/// session, also for one who has copied its cookie.
/// </summary>
/// <remarks>A file's name is the key's hash: who can list the folder cannot become anybody.</remarks>
internal sealed class SessionFiles : ITicketStore
{
    private const int KeyBytes = 32;
    private const UnixFileMode OwnersFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Of folders with what nobody else may read.</summary>
    public const UnixFileMode OwnersFolder = OwnersFile | UnixFileMode.UserExecute;

    private readonly string _folder;
    private readonly IDataProtector _seal;
    private readonly TimeProvider _time;

    public SessionFiles(IDataProtectionProvider protection, IOptions<DashboardOptions> options, TimeProvider time)
    {
        _time = time;
        _seal = protection.CreateProtector("cluster-dashboard session");
        // Without a folder that others share or that outlives it, sessions end with this process.
        _folder = options.Value.KeyFolder.Length > 0
            ? Directory.CreateDirectory(Path.Combine(options.Value.KeyFolder, "sessions"), OwnersFolder).FullName
            : Directory.CreateTempSubdirectory("cluster-dashboard-").FullName;
    }

    public async Task<string> StoreAsync(AuthenticationTicket ticket)
    {
        RemoveOld();
        var key = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(KeyBytes));
        await RenewAsync(key, ticket);
        return key;
    }

    public async Task RenewAsync(string key, AuthenticationTicket ticket)
    {
        // Written aside and moved: a replica reads a whole one.
        var aside = FileOf(key) + $".{Guid.NewGuid():N}";
        await using (var stream = new FileStream(aside, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnersFile,
        }))
        {
            await stream.WriteAsync(_seal.Protect(TicketSerializer.Default.Serialize(ticket)));
        }

        File.Move(aside, FileOf(key), overwrite: true);
        if (ticket.Properties.ExpiresUtc is { } expires)
            File.SetLastWriteTimeUtc(FileOf(key), expires.UtcDateTime);
    }

    public async Task<AuthenticationTicket?> RetrieveAsync(string key)
    {
        try
        {
            return TicketSerializer.Default.Deserialize(_seal.Unprotect(await File.ReadAllBytesAsync(FileOf(key))));
        }
        catch (Exception fault) when (fault is IOException or CryptographicException)
        {
            // It is over, or sealed with keys that are gone.
            return null;
        }
    }

    public Task RemoveAsync(string key)
    {
        File.Delete(FileOf(key));
        return Task.CompletedTask;
    }

    private string FileOf(string key) => Path.Combine(_folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key))));

    /// <summary>A file is as old as its session's end.</summary>
    private void RemoveOld()
    {
        var now = _time.GetUtcNow().UtcDateTime;
        foreach (var file in new DirectoryInfo(_folder).EnumerateFiles().Where(file => file.LastWriteTimeUtc < now.AddDays(-1)))
            file.Delete();
    }
}
